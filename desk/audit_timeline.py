"""One order's timeline for staff: all events with errors and data, staff actions, and breaks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, assert_never
from uuid import UUID

from approvals.models import Approval
from desk.attempt_groups import CallWait, RunAttempts, run_attempts
from desk.call_payments import (
    ids_and_keys,
    payment_at,
    payment_operations,
    refund_ids,
    replaced_at,
)
from desk.models import ActionKind, ActionOutcome
from desk.order_detail import OrderDetail
from desk.order_list import customer_of
from desk.step_names import staff_name, system_name
from money.amounts import format_amount
from orders.order_events import (
    AttemptEnded,
    CallStarted,
    CancelRequested,
    EventRecorded,
    OrderEvent,
    Placed,
    StatusChanged,
    merge_events,
)
from payments.admin_queries import PaymentDetail
from sagas.descriptions import WaitText
from sagas.queries.attempts import AttemptView
from sagas.queries.runs import RunDetail
from sagas.queries.waits import UNKNOWN_WAIT, WaitView
from sagas.work import Remote, Wait

_TONES: Final = {
    "done": "good",
    "rejected": "bad",
    "failed": "bad",
    "proceeded": "warn",
    "transient": "warn",
    "unknown": "warn",
    "lost": "warn",
}

_OUTCOMES: Final = {
    "done": "done",
    "rejected": "rejected",
    "proceeded": "no answer: the run continued with the declared result",
    "transient": "not done yet",
    "unknown": "no answer: it may have taken effect",
    "lost": "its worker stopped without a result",
    "failed": "failed with an error that the step does not declare",
    "interrupted": "no longer needed: the run compensates",
}

_WAIT_OUTCOMES: Final = {
    "done": "over",
    "rejected": "over: the order is not to go on",
    "proceeded": "over: the deadline passed, and the run continued",
    "interrupted": "no longer needed: the run compensates",
}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of the timeline. ``tone`` is good, warn, bad or empty: the colour of the line."""

    at: datetime
    kind: str
    title: str
    detail: str = ""
    actor: str = ""
    tone: str = ""
    data: Sequence[tuple[str, object]] = ()


def audit_timeline(detail: OrderDetail) -> list[TimelineEntry]:
    """Return the whole timeline, oldest entry first."""
    entries = [
        *_order_entries(detail),
        *_other_payments(detail),
        *_decisions(detail.approvals),
        *_staff_actions(detail),
        *_breaks(detail),
    ]
    return sorted(entries, key=lambda entry: entry.at)


def _order_entries(detail: OrderDetail) -> Iterator[TimelineEntry]:
    """Return the entries of the events that customers see, too."""
    runs = {run.id: run_attempts(run, detail.payments) for run in detail.state.runs}
    for event in _events(detail):
        yield from _entries(event, detail, runs)
    for run in detail.state.runs:
        yield from _wait_steps(run)


def _other_payments(detail: OrderDetail) -> Iterator[TimelineEntry]:
    """Yield the customer's choice of each payment after the order's first one."""
    for earlier, payment in pairwise(detail.payments):
        replaced = earlier.provider_payment_id or earlier.id
        yield TimelineEntry(
            payment.created_at,
            "request",
            f"another payment: {payment.payment_method}",
            f"replaces {replaced} on {earlier.payment_method}",
            actor=customer_of(detail.order),
            data=[("our payment", payment.id)],
        )


def _events(detail: OrderDetail) -> list[OrderEvent]:
    runs = detail.state.runs
    return merge_events(
        detail.order,
        transitions=detail.transitions,
        requests=[
            CancelRequested(run.compensation_requested_at, run.reason, run.reason_detail, run.actor)
            for run in runs
            if run.compensation_requested_at is not None
        ],
        attempts=[attempt for run in runs for attempt in run.attempts],
        published=[EventRecorded(at, name) for name, at in detail.events],
    )


def _entries(
    event: OrderEvent, detail: OrderDetail, runs: Mapping[UUID, RunAttempts]
) -> Iterator[TimelineEntry]:
    """Yield the entry of an event; none for a look of a wait, and for a failure like the one before."""
    match event:
        case Placed(at):
            total = format_amount(detail.order.total_minor, detail.order.currency)
            yield TimelineEntry(at, "order", "placed", total, actor=customer_of(detail.order))
        case StatusChanged(at, source, target, cause, actor):
            yield TimelineEntry(at, "order", target, f"{source} → {target}: {cause}", actor=actor)
        case CancelRequested(at, reason, reason_detail, actor):
            reasons = " ".join(filter(None, (reason, reason_detail)))
            yield TimelineEntry(at, "request", "cancellation requested", reasons, actor=actor)
        case CallStarted(at, attempt):
            if attempt.id not in runs[attempt.run_id].groups.hidden_calls:
                yield _call(at, attempt, runs[attempt.run_id], detail)
        case AttemptEnded(at, attempt):
            if attempt.id not in runs[attempt.run_id].groups.hidden_ends:
                yield _end(at, attempt, runs[attempt.run_id], detail.payments)
        case EventRecorded(at, name):
            yield TimelineEntry(at, "event", name)
        case _:
            assert_never(event)


def _call(
    at: datetime, attempt: AttemptView, run: RunAttempts, detail: OrderDetail
) -> TimelineEntry:
    sentence = ""
    if isinstance(attempt.work, Remote):
        order = detail.order
        amount = format_amount(order.total_minor, order.currency)
        request_text = attempt.work.describe.request_text
        payment = payment_at(attempt, detail.payments)
        method = payment.payment_method if payment else order.payment_method
        sentence = request_text.format(amount=amount, method=method)
    return TimelineEntry(
        at,
        f"to {_system(attempt)}",
        f"{staff_name(attempt.name)}: called, attempt {run.number(attempt)}",
        sentence,
        data=list(
            ids_and_keys(
                attempt,
                run.payments.get(attempt.id),
                is_first=attempt.id in run.groups.first_calls,
            )
        ),
    )


def _end(
    at: datetime, attempt: AttemptView, run: RunAttempts, payments: Sequence[PaymentDetail]
) -> TimelineEntry:
    """Return the entry of an attempt's result, and of all equal failures that follow it."""
    if (wait := run.groups.waits.get(attempt.id)) is not None:
        return _call_wait(at, wait, run, payments)
    row = run.groups.failures.get(attempt.id, [attempt])
    is_wait = isinstance(attempt.work, Wait)
    local_kind = "compensation" if attempt.is_compensating else "wait" if is_wait else "step"
    data = list(_flatten(row[-1].output))
    if len(row) > 1:
        data.append(("last time", date_and_time(row[-1].ended_at or at)))
    if attempt.outcome == "done" and "refund" in payment_operations(attempt):
        data += refund_ids(payments)
    sentences = [_rejection_text(attempt), attempt.error_text]
    if (failure := attempt.failure) is not None:
        sentences = [failure.happened, f"({attempt.error_text})", failure.remedy, failure.meanwhile]
        data += [("runbook", failure.runbook)] if failure.runbook else []
    return TimelineEntry(
        at,
        f"from {_system(attempt)}" if attempt.is_call else local_kind,
        f"{staff_name(attempt.name)}: {_outcome(attempt)}{_times(run.number(attempt), len(row))}",
        " ".join(filter(None, (*sentences, _retry(run, row[-1])))),
        tone=_TONES.get(attempt.outcome, ""),
        data=data,
    )


def _outcome(attempt: AttemptView) -> str:
    if isinstance(attempt.work, Wait) and attempt.outcome in _WAIT_OUTCOMES:
        return _WAIT_OUTCOMES[attempt.outcome]
    if attempt.failure is not None:
        return "failed, staff must act"
    return _OUTCOMES.get(attempt.outcome, attempt.outcome)


def _times(number: int, times: int) -> str:
    if times > 1:
        return f", {times} times"
    return f", attempt {number}" if number > 1 else ""


def _call_wait(
    at: datetime, wait: CallWait, run: RunAttempts, payments: Sequence[PaymentDetail]
) -> TimelineEntry:
    """Return the one entry of a wait for the answer to a call, with its looks."""
    first, now = wait.first, run.run.wait
    known = first.work.pending_by_code if isinstance(first.work, Remote) else {}
    text = known[first.error].waits_for if first.error in known else UNKNOWN_WAIT
    data: list[tuple[str, object]] = [("answer", first.error_text)]
    if wait.looks:
        times = "once" if len(wait.looks) == 1 else f"{len(wait.looks)} times"
        data.append(("looked", f"{times}, last at {date_and_time(wait.last.started_at)}"))
    ended_at = wait.end.ended_at if wait.end else replaced_at(run.payments.get(first.id), payments)
    if ended_at is None and now is not None and now.code == first.error:
        look_at = wait.last.not_before or (None if first.is_compensating else run.run.not_before)
        data += [("next look", date_and_time(look_at))] if look_at else []
        return _wait_entry(at, first.name, now, data)
    return _past_wait(first.name, text, at, ended_at or _end_of(wait, run.run) or at, data)


def _end_of(wait: CallWait, run: RunDetail) -> datetime | None:
    """Return when a wait ended without another answer: by a request to cancel, or at its last look."""
    if not wait.first.is_compensating and run.compensation_requested_at:
        return run.compensation_requested_at
    return wait.last.ended_at


def _wait_entry(
    at: datetime, name: str, wait: WaitView, data: Sequence[tuple[str, object]] = ()
) -> TimelineEntry:
    return TimelineEntry(
        at,
        "wait",
        f"{staff_name(name)}: waits for {wait.text.staff}",
        f"since {date_and_time(wait.since)}, until {date_and_time(wait.until)}; then {wait.text.then}",
        data=data,
    )


def _past_wait(
    name: str,
    text: WaitText,
    since: datetime,
    until: datetime,
    data: Sequence[tuple[str, object]] = (),
) -> TimelineEntry:
    return TimelineEntry(
        since,
        "wait",
        f"{staff_name(name)}: waited for {text.staff}",
        f"since {date_and_time(since)}, until {date_and_time(until)}",
        data=data,
    )


def _wait_steps(run: RunDetail) -> Iterator[TimelineEntry]:
    """Yield the entry of each wait step in which the run waits, or has waited."""
    for attempt in run.attempts:
        work, ended = attempt.work, attempt.ended_at
        if isinstance(work, Wait) and ended is not None and attempt.started_at < ended:
            yield _past_wait(attempt.name, work.waits_for, attempt.started_at, ended)
    if run.wait is not None and run.wait.code in {step.name for step in run.steps}:
        yield _wait_entry(run.wait.since, run.wait.code, run.wait)


def _system(attempt: AttemptView) -> str:
    return system_name(attempt.system) or "an unknown system"


def _rejection_text(attempt: AttemptView) -> str:
    """Return the step's sentence for staff about a rejection; empty if it declares no sentence."""
    if attempt.outcome != "rejected" or attempt.work is None:
        return ""
    text = attempt.work.rejections.get(attempt.error)
    return text.for_staff(attempt.detail) if text else ""


def _retry(attempts: RunAttempts, attempt: AttemptView) -> str:
    """Return when the step was, or will be, tried again; empty if no retry follows."""
    if attempt.is_done or attempt.outcome in ("rejected", "interrupted"):
        return ""
    run, payments = attempts.run, attempts.payments
    for later_row in run.attempts[run.attempts.index(attempt) + 1 :]:
        if (later_row.step, later_row.direction) == (attempt.step, attempt.direction):
            if payments.get(later_row.id) != payments.get(attempt.id):
                return ""
            return f"· tried again at {clock(later_row.started_at)}"
    next_try = attempt.not_before or (None if attempt.is_compensating else run.not_before)
    if run.is_live and next_try is not None:
        return f"· next try at {clock(next_try)}"
    return ""


def _flatten(output: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Return a call's output as labels and values; lists are flattened."""
    for label, value in output.items():
        if isinstance(value, list):
            for item in value:
                yield from _flatten(item)
        elif value != "":
            yield label.replace("_", " "), value


def _decisions(approvals: Sequence[Approval]) -> Iterator[TimelineEntry]:
    """Return how the order's approvals were decided, by which way, and those that have expired."""
    for approval in approvals:
        if approval.decided_at is None:
            continue
        yield TimelineEntry(
            approval.decided_at,
            "approval",
            f"{approval.label}: {approval.status}",
            approval.comment,
            actor=approval.decided_by,
            tone={"approved": "good", "rejected": "bad"}.get(approval.status, "warn"),
            data=[
                ("by way of", approval.decided_via),
                ("its deadline", date_and_time(approval.deadline)),
            ],
        )


def _staff_actions(detail: OrderDetail) -> Iterator[TimelineEntry]:
    for action in detail.actions:
        is_note = action.kind == ActionKind.NOTE
        was_done = action.outcome == ActionOutcome.DONE
        kind = ActionKind(action.kind).label
        yield TimelineEntry(
            action.at,
            "note" if is_note else "staff",
            "note" if is_note else f"{kind}: {action.outcome}",
            action.reason if was_done else f"{action.reason} · {action.message}",
            actor=action.actor,
            tone="" if was_done else "bad",
            data=[] if is_note else [("before", action.before), ("after", action.after)],
        )


def _breaks(detail: OrderDetail) -> Iterator[TimelineEntry]:
    for break_ in detail.state.breaks:
        title = f"{break_.code} is broken"
        yield TimelineEntry(break_.first_seen, "break", title, break_.detail, tone="bad")
        if break_.order_paused_at is not None:
            yield TimelineEntry(
                break_.order_paused_at, "break", f"paused by {break_.code}", tone="bad"
            )
        if break_.resolved_at is not None:
            yield TimelineEntry(
                break_.resolved_at,
                "break",
                f"{break_.code} resolved",
                break_.resolution,
                actor=break_.resolved_by,
                tone="good",
            )


def clock(moment: datetime) -> str:
    """Return the time of day in UTC, to the second."""
    return moment.strftime("%H:%M:%S")


def date_and_time(moment: datetime) -> str:
    """Return the day and the time of day in UTC, to the second."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")
