"""The journal at the desk: to be read, not edited; one action, "retry now"."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from sagas.models import SagaRun, StepRecord
from sagas.services import retry_now, thaw


class ReadOnly:
    """For rows that have another writer: editing them here would lie."""

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False


class StepRecordInline(ReadOnly, TabularInline[StepRecord, SagaRun]):
    model = StepRecord
    ordering = ("id",)
    fields = (
        "step",
        "direction",
        "attempt",
        "outcome",
        "error",
        "detail",
        "output",
        "fence",
        "started_at",
        "ended_at",
        "not_before",
    )
    readonly_fields = fields
    extra = 0


@admin.register(SagaRun)
class SagaRunAdmin(ReadOnly, ModelAdmin[SagaRun]):
    list_display = (
        "id",
        "saga",
        "subject_id",
        "status",
        "step",
        "tries",
        "wake_at",
        "needs_attention",
        "attention_reason",
        "frozen_at",
    )
    list_filter = (
        "needs_attention",
        ("frozen_at", admin.EmptyFieldListFilter),
        "status",
        "saga",
        "step",
    )
    search_fields = ("=id", "=subject_id")
    ordering = ("-created_at",)
    show_full_result_count = False
    inlines = (StepRecordInline,)
    actions = ("retry_now", "thaw")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whoever may change runs may have one retried or thawed; nobody edits one."""
        user = request.user
        return isinstance(user, User) and user.has_perm("sagas.change_sagarun")

    @admin.action(description="Retry now", permissions=["retry"])
    def retry_now(self, request: HttpRequest, runs: QuerySet[SagaRun]) -> None:
        queued = sum(retry_now(run.pk) for run in runs)
        self.message_user(request, f"{queued} runs queued.", messages.SUCCESS)

    @admin.action(description="Thaw: let frozen runs go on", permissions=["retry"])
    def thaw(self, request: HttpRequest, runs: QuerySet[SagaRun]) -> None:
        thawed = [each for each in runs if thaw(each.subject_id, request.user.get_username())]
        for run in thawed:
            self.log_change(request, run, "thawed")
        self.message_user(request, f"{len(thawed)} runs go on.", messages.SUCCESS)
