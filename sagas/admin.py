"""The journal at the desk: to be read, not edited. What is done to a run, is done to its order."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from adminkit.admin import ReadOnly, Recorded
from adminkit.cells import code, moment, order_link, state
from adminkit.filters import AmongTheNewest, Choice
from adminkit.search import by_id
from sagas import registry
from sagas.history import step_names
from sagas.models import LIVE, RunStatus, SagaRun, StepAttempt


class StepAttemptInline(ReadOnly, TabularInline[StepAttempt, SagaRun]):
    model = StepAttempt
    verbose_name_plural = "attempts, oldest first"
    ordering = ("id",)
    fields = (
        *("began", "step", "direction", "attempt", "result", "error", "detail"),
        *("gave", "fence", "ended", "waits"),
    )
    readonly_fields = fields
    extra = 0
    hide_title = True

    @admin.display(description="began (UTC)")
    def began(self, made: StepAttempt) -> SafeString | None:
        return moment(made.started_at)

    @admin.display(description="outcome")
    def result(self, made: StepAttempt) -> SafeString:
        return state(made.outcome)

    @admin.display(description="output")
    def gave(self, made: StepAttempt) -> SafeString | None:
        return code(", ".join(f"{name}: {value}" for name, value in made.output.items()))

    @admin.display(description="ended (UTC)")
    def ended(self, made: StepAttempt) -> SafeString | None:
        return moment(made.ended_at)

    @admin.display(description="not before (UTC)")
    def waits(self, made: StepAttempt) -> SafeString | None:
        return moment(made.not_before)


class State(AmongTheNewest):
    """Those that live have an index, and are few."""

    title = "state"
    parameter_name = column = "status"
    choosable = tuple((each.value, each.value) for each in RunStatus)

    def narrow(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        if chosen in LIVE:
            return rows.filter(status=chosen, status__in=LIVE)
        return super().narrow(rows, chosen)


class NeedsAttention(Choice):
    title = "needs attention"
    parameter_name = "needs_attention"
    choosable = (("yes", "Yes"),)

    def narrow(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:  # noqa: ARG002 - there is one
        return rows.filter(status__in=LIVE, needs_attention=True)


class IsPaused(Choice):
    title = "held or paused"
    parameter_name = "is_paused"
    choosable = (("yes", "Yes"),)

    def narrow(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:  # noqa: ARG002 - there is one
        return rows.filter(status=RunStatus.RUNNING, paused_at__isnull=False)


class StandsAt(Choice):
    title = "step it stands at"
    parameter_name = "step"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(each, each) for each in step_names()]

    def narrow(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        return rows.filter(step=chosen, status__in=LIVE)


class OfSaga(AmongTheNewest):
    title = "saga"
    parameter_name = column = "saga"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(each, each) for each in dict.fromkeys(saga.name for saga in registry.all_sagas())]


@admin.register(SagaRun)
class SagaRunAdmin(Recorded[SagaRun]):
    list_display = ("started", "order", "saga", "stands", "doing", "wakes", "flag")
    list_filter = (State, NeedsAttention, IsPaused, StandsAt, OfSaga)
    readings = (by_id("pk", "subject_id"),)
    search_help_text = "An order's or a run's id, or how it begins"
    when_empty = "Each order has a run that carries it, and one more once it is cancelled. No order was placed yet."
    inlines = (StepAttemptInline,)
    fields = (
        "order",
        "saga",
        "version",
        "stands",
        "doing",
        "tries",
        "attention_reason",
        *("started", "wakes", "ended"),
        *("reason", "reason_detail", "actor", "correlation_id"),
    )
    readonly_fields = ("order", "stands", "doing", "started", "wakes", "ended")

    @admin.display(description="started (UTC)")
    def started(self, run: SagaRun) -> SafeString | None:
        return moment(run.created_at)

    @admin.display(description="order")
    def order(self, run: SagaRun) -> SafeString | None:
        return order_link(run.subject_id)

    @admin.display(description="state")
    def stands(self, run: SagaRun) -> SafeString:
        return state(run.status)

    @admin.display(description="step")
    def doing(self, run: SagaRun) -> str | None:
        if not run.step:
            return None
        return f"{run.step}, attempt {run.attempts}" if run.attempts else run.step

    @admin.display(description="wakes (UTC)")
    def wakes(self, run: SagaRun) -> SafeString | None:
        return moment(run.wake_at)

    @admin.display(description="ended (UTC)")
    def ended(self, run: SagaRun) -> SafeString | None:
        return moment(run.ended_at)

    @admin.display(description="flag", empty_value="")
    def flag(self, run: SagaRun) -> SafeString | None:
        if not run.needs_attention:
            return None
        return format_html(
            '<span class="flag">{}</span> <span class="flag-reason" title="{}">{}</span>',
            "held" if run.paused_at else "look",
            run.attention_reason,
            run.attention_reason,
        )
