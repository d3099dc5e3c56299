"""The journal at the desk, read only. Actions on a run are actions on its order; see ``desk``."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from adminkit.admin import ReadOnlyMixin, RecordAdmin
from adminkit.cells import code, order_link, state, timestamp
from adminkit.filters import ChoiceFilter, NewestRowsFilter
from adminkit.search import search_ids
from sagas import registry
from sagas.models import LIVE, RunStatus, SagaRun, SentSignal, StepAttempt, VersionMove
from sagas.queries.subjects import step_names
from sagas.queries.waits import past_deadline, wait_codes, wait_of


class StepAttemptInline(ReadOnlyMixin, TabularInline[StepAttempt, SagaRun]):
    model = StepAttempt
    verbose_name_plural = "attempts, oldest first"
    ordering = ("id",)
    fields = (
        *("began", "step", "direction", "number", "result", "error", "detail"),
        *("gave", "fence", "ended", "waits"),
    )
    readonly_fields = fields
    extra = 0
    hide_title = True

    @admin.display(description="began (UTC)")
    def began(self, attempt: StepAttempt) -> SafeString | None:
        return timestamp(attempt.started_at)

    @admin.display(description="outcome")
    def result(self, attempt: StepAttempt) -> SafeString:
        return state(attempt.outcome)

    @admin.display(description="output")
    def gave(self, attempt: StepAttempt) -> SafeString | None:
        return code(", ".join(f"{name}: {value}" for name, value in attempt.output.items()))

    @admin.display(description="ended (UTC)")
    def ended(self, attempt: StepAttempt) -> SafeString | None:
        return timestamp(attempt.ended_at)

    @admin.display(description="not before (UTC)")
    def waits(self, attempt: StepAttempt) -> SafeString | None:
        return timestamp(attempt.not_before)


class SentSignalInline(ReadOnlyMixin, TabularInline[SentSignal, SagaRun]):
    model = SentSignal
    verbose_name_plural = "signals, oldest first"
    ordering = ("id",)
    fields = ("sent", "name", "content", "actor", "taken")
    readonly_fields = fields
    extra = 0
    hide_title = True

    @admin.display(description="sent (UTC)")
    def sent(self, signal: SentSignal) -> SafeString | None:
        return timestamp(signal.sent_at)

    @admin.display(description="content")
    def content(self, signal: SentSignal) -> SafeString | None:
        return code(", ".join(f"{name}: {value}" for name, value in signal.payload.items()))

    @admin.display(description="taken by its wait (UTC)")
    def taken(self, signal: SentSignal) -> SafeString | None:
        return timestamp(signal.taken_at)


class VersionMoveInline(ReadOnlyMixin, TabularInline[VersionMove, SagaRun]):
    model = VersionMove
    verbose_name_plural = "moves to other versions, oldest first"
    ordering = ("id",)
    fields = ("moved", "from_version", "to_version", "renames")
    readonly_fields = fields
    extra = 0
    hide_title = True

    @admin.display(description="moved (UTC)")
    def moved(self, move: VersionMove) -> SafeString | None:
        return timestamp(move.moved_at)

    @admin.display(description="renamed steps")
    def renames(self, move: VersionMove) -> SafeString | None:
        return code(", ".join(f"{old} is {new}" for old, new in move.renamed.items()))


class State(NewestRowsFilter):
    """By status. Live runs are few and have an index."""

    title = "state"
    parameter_name = column = "status"
    options = tuple((status.value, status.value) for status in RunStatus)

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        if chosen in LIVE:
            return rows.filter(status=chosen, status__in=LIVE)
        return super().apply(rows, chosen)


class NeedsAttention(ChoiceFilter):
    title = "needs attention"
    parameter_name = "needs_attention"
    options = (("yes", "Yes"),)

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:  # noqa: ARG002 - there is one
        return rows.filter(status__in=LIVE, needs_attention=True)


class IsPaused(ChoiceFilter):
    title = "paused"
    parameter_name = "is_paused"
    options = (("yes", "Yes"),)

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:  # noqa: ARG002 - there is one
        return rows.filter(status=RunStatus.RUNNING, paused_at__isnull=False)


class CurrentStep(ChoiceFilter):
    title = "current step"
    parameter_name = "step"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(step, step) for step in step_names()]

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        return rows.filter(step=chosen, status__in=LIVE)


class WaitsFor(ChoiceFilter):
    """By what runs wait for, or past their deadline. An index has those that wait."""

    title = "waits for"
    parameter_name = "waits_for"
    OVERDUE = "overdue"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(self.OVERDUE, "past its deadline"), *((code, code) for code in wait_codes())]

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        if chosen == self.OVERDUE:
            return rows.exclude(waits_for="").filter(past_deadline())
        return rows.filter(waits_for=chosen)


class OfSaga(NewestRowsFilter):
    title = "saga"
    parameter_name = column = "saga"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        names = dict.fromkeys(saga.name for saga in registry.all_sagas())
        return [(name, name) for name in names]


@admin.register(SagaRun)
class SagaRunAdmin(RecordAdmin[SagaRun]):
    list_display = (
        *("started", "order", "saga", "status_badge", "current_step"),
        *("wait", "since", "until", "wakes", "flag"),
    )
    list_filter = (State, NeedsAttention, IsPaused, CurrentStep, WaitsFor, OfSaga)
    searches = (search_ids("pk", "subject_id"),)
    search_help_text = "An order's or a run's id, or how it begins"
    empty_text = (
        "Each order has a run of its checkout, and another one if it is cancelled after that."
        " No order has been placed yet."
    )
    inlines = (StepAttemptInline, SentSignalInline, VersionMoveInline)
    fields = (
        "order",
        "saga",
        "version",
        "status_badge",
        "current_step",
        "retry_count",
        "attention_reason",
        *("wait", "since", "until", "then"),
        *("started", "wakes", "ended"),
        *("reason", "reason_detail", "actor", "correlation_id"),
    )
    readonly_fields = (
        *("order", "status_badge", "current_step", "wait", "since", "until", "then"),
        *("started", "wakes", "ended"),
    )

    @admin.display(description="started (UTC)")
    def started(self, run: SagaRun) -> SafeString | None:
        return timestamp(run.created_at)

    @admin.display(description="order")
    def order(self, run: SagaRun) -> SafeString | None:
        return order_link(run.subject_id)

    @admin.display(description="state")
    def status_badge(self, run: SagaRun) -> SafeString:
        return state(run.status)

    @admin.display(description="step")
    def current_step(self, run: SagaRun) -> str | None:
        if not run.step:
            return None
        # A look at what it waits for is no attempt.
        is_tried = run.attempt_count and not run.waits_for
        return f"{run.step}, attempt {run.attempt_count}" if is_tried else run.step

    @admin.display(description="waits for", empty_value="")
    def wait(self, run: SagaRun) -> str | None:
        found = wait_of(run, registry.find(run.saga, run.version))
        return found.text.staff if found else None

    @admin.display(description="since (UTC)", empty_value="")
    def since(self, run: SagaRun) -> SafeString | None:
        return timestamp(run.waiting_since)

    @admin.display(description="until (UTC)", empty_value="")
    def until(self, run: SagaRun) -> SafeString | None:
        return timestamp(run.waiting_until)

    @admin.display(description="what happens then", empty_value="")
    def then(self, run: SagaRun) -> str | None:
        found = wait_of(run, registry.find(run.saga, run.version))
        return found.text.then if found else None

    @admin.display(description="wakes (UTC)")
    def wakes(self, run: SagaRun) -> SafeString | None:
        return timestamp(run.wake_at)

    @admin.display(description="ended (UTC)")
    def ended(self, run: SagaRun) -> SafeString | None:
        return timestamp(run.ended_at)

    @admin.display(description="flag", empty_value="")
    def flag(self, run: SagaRun) -> SafeString | None:
        if not run.needs_attention:
            return None
        return format_html(
            '<span class="flag">{}</span> <span class="flag-reason" title="{}">{}</span>',
            "paused" if run.paused_at else "check",
            run.attention_reason,
            run.attention_reason,
        )
