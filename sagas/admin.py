"""The journal at the desk: to be read, not edited. What is done to a run, is done to its order."""

from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from sagas.models import SagaRun, StepRecord


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
