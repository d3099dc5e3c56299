"""One order's timeline for staff: all events with errors and data, staff actions, and breaks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, assert_never

from approvals.models import Approval
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
from orders.steps import PAYMENT_PROVIDER
from payments.admin_queries import PaymentDetail
from sagas.queries.attempts import AttemptView
from sagas.queries.runs import RunDetail
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
    "pending": "accepted: the answer comes later",
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

_REMEDIES: Final = {
    "AccessDenied": "The service refuses our key or our account: an operator must correct the key.",
    "UnknownPayment": "The provider does not have this payment. Check whether the key belongs to another account.",
    "payment_rejected": "The provider does not accept our request: a developer must correct it.",
}
"""What staff do about errors that no retry corrects, by error code or name of the class."""


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
        *_decisions(detail.approvals),
        *_staff_actions(detail),
        *_breaks(detail),
    ]
    return sorted(entries, key=lambda entry: entry.at)


def _order_entries(detail: OrderDetail) -> Iterator[TimelineEntry]:
    """Return the entries of the events that customers see, too."""
    retries = {
        attempt.id: _retry(run, position)
        for run in detail.state.runs
        for position, attempt in enumerate(run.attempts)
    }
    for event in _events(detail):
        yield _entry(event, detail, retries)


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


def _entry(event: OrderEvent, detail: OrderDetail, retries: Mapping[int, str]) -> TimelineEntry:
    match event:
        case Placed(at):
            total = format_amount(detail.order.total_minor, detail.order.currency)
            return TimelineEntry(at, "order", "placed", total, actor=customer_of(detail.order))
        case StatusChanged(at, source, target, cause, actor):
            return TimelineEntry(at, "order", target, f"{source} → {target}: {cause}", actor=actor)
        case CancelRequested(at, reason, reason_detail, actor):
            reasons = " ".join(filter(None, (reason, reason_detail)))
            return TimelineEntry(at, "request", "cancellation requested", reasons, actor=actor)
        case CallStarted(at, attempt):
            return _call(at, attempt, detail)
        case AttemptEnded(at, attempt):
            return _end(at, attempt, retries.get(attempt.id, ""), detail.payments)
        case EventRecorded(at, name):
            return TimelineEntry(at, "event", name)
    assert_never(event)


def _call(at: datetime, attempt: AttemptView, detail: OrderDetail) -> TimelineEntry:
    sentence = ""
    if isinstance(attempt.work, Remote):
        order = detail.order
        amount = format_amount(order.total_minor, order.currency)
        request_text = attempt.work.describe.request_text
        sentence = request_text.format(amount=amount, method=order.payment_method)
    return TimelineEntry(
        at,
        f"to {_system(attempt)}",
        f"{staff_name(attempt.name)}: called, attempt {attempt.number}",
        sentence,
        data=[(label, value) for label, value in _payment_ids(attempt, detail.payments) if value],
    )


def _payment_ids(
    attempt: AttemptView, payments: Sequence[PaymentDetail]
) -> Iterator[tuple[str, object]]:
    """Yield the provider's id and the idempotency keys of a call to the payment provider."""
    operations = _payment_operations(attempt)
    if not operations or not payments:
        return
    payment = payments[-1]
    yield "provider payment", payment.provider_payment_id
    if attempt.number > 1:
        yield "keys", "the same as before"
        return
    for name in operations:
        yield f"key of {name}", payment.keys[name]


def _payment_operations(attempt: AttemptView) -> Sequence[str]:
    """Return the payment provider's operations that a call may use; empty for another system."""
    work = attempt.work
    if isinstance(work, Remote) and work.system == PAYMENT_PROVIDER:
        return work.operations
    return ()


def _end(
    at: datetime, attempt: AttemptView, retry: str, payments: Sequence[PaymentDetail]
) -> TimelineEntry:
    is_wait = isinstance(attempt.work, Wait)
    outcome = _OUTCOMES.get(attempt.outcome, attempt.outcome)
    if is_wait:
        outcome = _WAIT_OUTCOMES.get(attempt.outcome, outcome)
    number = f", attempt {attempt.number}" if attempt.number > 1 else ""
    local_kind = "compensation" if attempt.is_compensating else "wait" if is_wait else "step"
    data = list(_flatten(attempt.output))
    if is_wait:
        data.insert(0, ("waited since", date_and_time(attempt.started_at)))
    if attempt.outcome == "done" and "refund" in _payment_operations(attempt):
        data += _refund_ids(payments)
    details = (
        _REMEDIES.get(attempt.error),
        _rejection_text(attempt),
        attempt.error,
        attempt.detail,
    )
    return TimelineEntry(
        at,
        f"from {_system(attempt)}" if attempt.is_call else local_kind,
        f"{staff_name(attempt.name)}: {outcome}{number}",
        " ".join(filter(None, (*details, retry))),
        tone=_TONES.get(attempt.outcome, ""),
        data=data,
    )


def _system(attempt: AttemptView) -> str:
    return system_name(attempt.system) or "an unknown system"


def _rejection_text(attempt: AttemptView) -> str:
    """Return the step's sentence for staff about a rejection; empty if it declares no sentence."""
    if attempt.outcome != "rejected" or attempt.work is None:
        return ""
    text = attempt.work.rejections.get(attempt.error)
    return text.for_staff(attempt.detail) if text else ""


def _retry(run: RunDetail, position: int) -> str:
    """Return when the step was, or will be, tried again; empty if no retry follows."""
    attempt = run.attempts[position]
    if attempt.is_done or attempt.outcome in ("rejected", "interrupted"):
        return ""
    is_pending = attempt.outcome == "pending"
    for later_row in run.attempts[position + 1 :]:
        if (later_row.step, later_row.direction) == (attempt.step, attempt.direction):
            verb = "called" if is_pending else "tried"
            return f"· {verb} again at {clock(later_row.started_at)}"
    next_try = attempt.not_before or (None if attempt.is_compensating else run.not_before)
    if run.is_live and next_try is not None:
        return f"· next {'call' if is_pending else 'try'} at {clock(next_try)}"
    return ""


def _flatten(output: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Return a call's output as labels and values; lists are flattened."""
    for label, value in output.items():
        if isinstance(value, list):
            for item in value:
                yield from _flatten(item)
        elif value != "":
            yield label.replace("_", " "), value


def _refund_ids(payments: Sequence[PaymentDetail]) -> list[tuple[str, object]]:
    return [
        ("refund", payment.refund.provider_refund_id)
        for payment in payments
        if payment.refund is not None and payment.refund.provider_refund_id
    ]


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
