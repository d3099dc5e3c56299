"""What other libraries bring to the desk, in its look, and no more of it than staff need here."""

from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from desk import audit_admin, order_admin
from desk.second_factor import forget
from sagas.admin import ReadOnly

__all__ = ["audit_admin", "order_admin"]

# The schedule knows intervals alone: beat does not catch up on a missed time of day.
admin.site.unregister(
    [
        User,
        Group,
        PeriodicTask,
        IntervalSchedule,
        CrontabSchedule,
        ClockedSchedule,
        SolarSchedule,
        # Nobody reads another's key: desk.second_factor alone has to do with these.
        StaticDevice,
        TOTPDevice,
    ]
)


@admin.register(User)
class PersonAdmin(UserAdmin[User], ModelAdmin[User]):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", "groups")
    show_full_result_count = False
    actions = ("reset_second_factor",)

    def has_superuser_permission(self, request: HttpRequest) -> bool:
        return isinstance(request.user, User) and request.user.is_superuser

    @admin.action(description="Reset second factor", permissions=["superuser"])
    def reset_second_factor(self, request: HttpRequest, people: QuerySet[User]) -> None:
        """For whoever lost phone and recovery codes; they enrol again after their next password."""
        if isinstance(request.user, User):
            for each in people:
                forget(each, by=request.user)
            self.message_user(request, f"{len(people)} have to enrol again.", messages.SUCCESS)


@admin.register(Group)
class RoleAdmin(GroupAdmin, ModelAdmin[Group]):
    pass


@admin.register(PeriodicTask)
class ScheduleAdmin(ModelAdmin[Any]):
    """Entries can be switched off and given another period; which there are, ``config.beat`` says."""

    list_display = ("name", "enabled", "interval", "last_run_at", "description")
    list_select_related = ("interval",)
    fields = ("name", "description", "task", "enabled", "interval", "last_run_at")
    readonly_fields = ("name", "description", "task", "last_run_at")
    actions = None

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False


@admin.register(IntervalSchedule)
class PeriodAdmin(ModelAdmin[Any]):
    list_display = ("every", "period")

    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        """A period may belong to several entries: whoever wants another adds it."""
        return False


@admin.register(AccessAttempt)
class LockOutAdmin(ReadOnly, ModelAdmin[Any]):
    """Wrong guesses of the last quarter of an hour; deleting a row lets its pair try again."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    search_fields = ("=username", "=ip_address")
    fields = (*list_display, "user_agent", "path_info")
    readonly_fields = fields
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnly, ModelAdmin[LogEntry]):
    list_display = ("action_time", "user", "content_type", "object_repr", "change_message")
    list_select_related = ("user", "content_type")
    list_filter = ("action_flag",)
    search_fields = ("=object_id", "=user__username")
    ordering = ("-action_time",)
    show_full_result_count = False
