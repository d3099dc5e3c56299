"""Admin pages for models of other libraries: accounts, roles, schedule, login attempts, change log."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Final

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.forms import ModelChoiceField, ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from adminkit.admin import PagedAdmin, RecordAdmin, WrittenBySuperusers, is_superuser
from adminkit.cells import excerpt, state, timestamp
from adminkit.filters import ChoiceFilter
from adminkit.search import search_exact, search_username
from desk import approval_admin, audit_admin, order_admin
from desk.second_factor import reset_factors

__all__ = ["approval_admin", "audit_admin", "order_admin"]

_UNITS: Final = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)

_SHOWN_TO_STAFF: Final[Any] = (
    (None, {"fields": ("username",)}),
    ("Personal info", {"fields": ("first_name", "last_name", "email")}),
    (
        "Permissions",
        {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
    ),
    ("Important dates", {"fields": ("last_login", "date_joined")}),
)
_CHANGED_BY_STAFF: Final = frozenset({"first_name", "last_name", "email"})

# The schedule has intervals only: beat does not catch up on a missed time of day.
admin.site.unregister(
    [
        User,
        Group,
        PeriodicTask,
        IntervalSchedule,
        CrontabSchedule,
        ClockedSchedule,
        SolarSchedule,
        # They contain secret keys: only desk.second_factor uses them.
        StaticDevice,
        TOTPDevice,
    ]
)


def by_address(term: str) -> Q | None:
    try:
        return Q(ip_address=str(ip_address(term)))
    except ValueError:
        return None


class AccountKind(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    options = (("staff", "staff"), ("superuser", "superusers"), ("customer", "customers"))

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        if chosen == "superuser":
            return rows.filter(is_superuser=True)
        return rows.filter(is_staff=chosen == "staff")


class InRole(ChoiceFilter):
    title = "role"
    parameter_name = "role"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [
            (name, name) for name in Group.objects.order_by("name").values_list("name", flat=True)
        ]

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        return rows.filter(groups__name=chosen)


@admin.register(User)
class AccountAdmin(WrittenBySuperusers, UserAdmin[User], PagedAdmin[User]):
    """Superusers may change everything; other staff with ``auth.change_user`` what a help desk needs.

    These change names and e-mail addresses of users who are not superusers, and deactivate them.
    They cannot activate a user again. They cannot change a username: the shop's server identifies
    its customers by it.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_title = "staff and customers"
    list_display = ("username", "email", "kind", "status", "second_factor", "last_login_time")
    list_filter = (AccountKind, InRole)
    searches = (lambda term: Q(username__startswith=term),)
    search_help_text = "A username, or its beginning"
    ordering = ("username",)
    actions = ("reset_second_factor",)

    # Django's own would scan the table.
    get_search_results = PagedAdmin.get_search_results
    lookup_allowed = PagedAdmin.lookup_allowed

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        apps = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        return super().get_queryset(request).annotate(has_app=Exists(apps))

    def has_superuser_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        if is_superuser(request):
            return True
        may_change = UserAdmin.has_change_permission(self, request, obj)
        return may_change and not (obj and obj.is_superuser)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        return super().get_fieldsets(request, obj) if is_superuser(request) else _SHOWN_TO_STAFF

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if is_superuser(request):
            return super().get_readonly_fields(request, obj)
        changed_by_staff = _CHANGED_BY_STAFF | ({"is_active"} if obj and obj.is_active else set())
        return [
            field for field in flatten_fieldsets(_SHOWN_TO_STAFF) if field not in changed_by_staff
        ]

    def get_form(
        self,
        request: HttpRequest,
        obj: User | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> Any:
        if not is_superuser(request):
            kwargs["form"] = ModelForm  # without a password
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Write only the changed fields, so that a concurrent change by a superuser is kept."""
        if is_superuser(request):
            super().save_model(request, obj, form, change)
        else:
            obj.save(update_fields=form.changed_data)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002 - Django's signature
        """Set a password: superusers only. Staff change their own on another page, with the old one."""
        if not is_superuser(request):
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

    @admin.action(description="Reset second factor", permissions=["superuser"])
    def reset_second_factor(self, request: HttpRequest, accounts: QuerySet[User]) -> None:
        """Delete the second factors of staff who lost phone and recovery codes."""
        if isinstance(request.user, User):
            for account in accounts:
                reset_factors(account, by=request.user)
            self.message_user(
                request,
                f"{len(accounts)} accounts have to set up a second factor at their next login.",
                messages.SUCCESS,
            )

    @admin.display(description="kind")
    def kind(self, account: User) -> str:
        if account.is_superuser:
            return "superuser"
        return "staff" if account.is_staff else "customer"

    @admin.display(description="state")
    def status(self, account: User) -> SafeString:
        return state("active") if account.is_active else state("switched-off", word="switched off")

    @admin.display(description="second factor")
    def second_factor(self, account: User) -> str | None:
        if not account.is_staff:
            return None
        return "set up" if getattr(account, "has_app", False) else "not yet"

    @admin.display(description="last login (UTC)")
    def last_login_time(self, account: User) -> SafeString | None:
        return timestamp(account.last_login)


@admin.register(Group)
class RoleAdmin(WrittenBySuperusers, GroupAdmin, PagedAdmin[Group]):
    list_title = "roles"
    list_display = ("name",)
    empty_text = "Groups of permissions at the desk. manage.py synchronise_roles creates the roles that ship."
    ordering = ("name",)


def period_text(period: IntervalSchedule) -> str:
    """Return the period in the largest unit that divides it, such as "every 10 minutes"."""
    length = period.schedule.run_every
    for unit, size in _UNITS:
        times, rest = divmod(length, size)
        if not rest:
            return f"every {unit}" if times == 1 else f"every {times} {unit}s"
    return str(period)


class PeriodChoice(ModelChoiceField[IntervalSchedule]):
    def label_from_instance(self, period: IntervalSchedule) -> str:
        return period_text(period)


@admin.register(PeriodicTask)
class ScheduleAdmin(PagedAdmin[Any]):
    """Operators switch entries off and change their period. ``config.beat`` defines the entries."""

    list_title = "schedule"
    list_display = ("task_name", "status", "due", "last_run", "purpose")
    list_select_related = ("interval",)
    empty_text = "Periodic tasks. manage.py synchronise_schedule adds them."
    ordering = ("name",)
    fields = ("task_name", "purpose", "enabled", "interval", "last_run")
    readonly_fields = ("task_name", "purpose", "last_run")

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False

    @admin.display(description="state")
    def status(self, entry: Any) -> SafeString:
        return state("on") if entry.enabled else state("switched-off", word="switched off")

    def formfield_for_foreignkey(self, *args: Any, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(*args, **{"form_class": PeriodChoice, **kwargs})

    def get_form(self, *args: Any, **kwargs: Any) -> Any:
        labels = {"enabled": "Switched on", "interval": "Due"}
        return super().get_form(
            *args, **kwargs, labels=labels, help_texts=dict.fromkeys(labels, "")
        )

    @admin.display(description="task")
    def task_name(self, entry: Any) -> str:
        return str(entry.name)

    @admin.display(description="due")
    def due(self, entry: Any) -> str:
        """The period in words, also of entries made outside the desk, such as a time of day."""
        return period_text(entry.interval) if entry.interval else str(entry.scheduler)

    @admin.display(description="purpose")
    def purpose(self, entry: Any) -> str:
        return str(entry.description)

    @admin.display(description="last run (UTC)")
    def last_run(self, entry: Any) -> SafeString | None:
        return timestamp(entry.last_run_at)


@admin.register(IntervalSchedule)
class PeriodAdmin(PagedAdmin[Any]):
    list_title = "periods"
    list_display = ("due",)
    fields = ("every", "period")
    empty_text = (
        "How often entries of the schedule are due. manage.py synchronise_schedule adds them."
    )
    ordering = ("period", "every")

    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        """A period may belong to several entries. Add another period instead."""
        return False

    @admin.display(description="due")
    def due(self, period: IntervalSchedule) -> str:
        return period_text(period)


@admin.register(AccessAttempt)
class LockOutAdmin(RecordAdmin[Any]):
    """Failed logins of the last 15 minutes. Deleting a row unlocks its username and address."""

    list_title = "wrong passwords and codes"
    list_display = ("when", "username", "ip_address", "failures_since_start")
    searches = (search_exact("username"), by_address)
    search_help_text = "A whole username or address"
    empty_text = "Wrong passwords and codes of the last 15 minutes, by username and address. There is no entry."
    fields = (*list_display, "user_agent", "path_info")
    readonly_fields = fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return PagedAdmin.has_delete_permission(self, request, obj)

    @admin.display(description="last (UTC)")
    def when(self, attempt: Any) -> SafeString | None:
        return timestamp(attempt.attempt_time)


@admin.register(LogEntry)
class LogEntryAdmin(RecordAdmin[LogEntry]):
    list_title = "what staff changed"
    list_display = ("when", "user_name", "object_type", "object_repr", "changes")
    list_select_related = ("user", "content_type")
    searches = (search_username("user_id"),)
    search_help_text = "A whole username"
    empty_text = (
        "Changes that staff made to products, stock, accounts and roles. There is no change yet."
    )
    fields = ("when", "user_name", "object_type", "object_repr", "changes")
    readonly_fields = fields

    @admin.display(description="when (UTC)")
    def when(self, entry: LogEntry) -> SafeString | None:
        return timestamp(entry.action_time)

    @admin.display(description="user")
    def user_name(self, entry: LogEntry) -> str:
        return entry.user.get_username()

    @admin.display(description="type")
    def object_type(self, entry: LogEntry) -> str:
        return str(entry.content_type.name) if entry.content_type else ""

    @admin.display(description="changes")
    def changes(self, entry: LogEntry) -> SafeString:
        return excerpt(entry.get_change_message())
