"""What other libraries bring to the desk, in its look, and no more of it than staff need here."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
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


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnly, ModelAdmin[LogEntry]):
    list_display = ("action_time", "user", "content_type", "object_repr", "change_message")
    list_select_related = ("user", "content_type")
    list_filter = ("action_flag",)
    search_fields = ("=object_id", "=user__username")
    ordering = ("-action_time",)
    show_full_result_count = False
