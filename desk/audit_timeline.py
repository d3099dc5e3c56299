"""The story of one order: everything that happened, in the order in which it did, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from adminkit.money import money
from desk.models import ActionKind, ActionOutcome
from desk.order_detail import OrderDetail
from desk.order_list import customer_of
from payments.admin_queries import CALLS, PaymentDetail
from sagas.plans import JournalRow, RunDetail

PROVIDER_CALLS: Final = {
    "authorize_payment": "authorize",
    "capture_payment": "capture",
    "void_authorization": "close",
    "refund_payment": "close",
    "return_payment": "close",
}
"""What each remote step, and each remote compensation, asks of the bank."""

_ASKED: Final = {
    "authorize": "Set {amount} aside on {method}.",
    "capture": "Take {amount}.",
    "close": "Cancel the payment of {amount}; where it was taken, give it back.",
}

_TONES: Final = {
    "done": "good",
    "rejected": "bad",
    "failed": "bad",
    "transient": "wait",
    "unknown": "wait",
    "lost": "wait",
}

_OUTCOMES: Final = {
    "done": "done",
    "rejected": "rejected",
    "transient": "not done yet",
    "unknown": "no answer: it may have been carried out",
    "lost": "its worker was not heard of again",
    "failed": "failed with an error that nobody expected",
}


_WHOSE_TURN: Final = {
    "AccessDenied": "The bank refuses our key: whoever runs the system has to mend that.",
    "RequestRejected": "The bank does not understand us: that is for whoever develops the system.",
}
"""What an operator should know of errors that no retry mends."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: when, of which kind, what, and every number that belongs to it."""

    at: datetime
    kind: str
    what: str
    detail: str = ""
    who: str = ""
    tone: str = ""
    data: Sequence[tuple[str, object]] = ()


def audit_timeline(detail: OrderDetail) -> list[Entry]:
    """Return everything, oldest first."""
    entries = [
        *_moves(detail),
        *_wishes(detail),
        *_attempts(detail),
        *_events(detail),
        *_people(detail),
        *_breaks(detail),
    ]
    return sorted(entries, key=lambda each: each.at)


def _moves(detail: OrderDetail) -> Iterator[Entry]:
    order = detail.order
    yield Entry(
        order.created_at,
        "order",
        "placed",
        money(order.total_minor, order.currency),
        who=customer_of(order),
    )
    for each in detail.moves:
        cause = f"{each.source} → {each.target}: {each.cause}"
        yield Entry(each.at, "order", each.target, cause, who=each.actor)


def _wishes(detail: OrderDetail) -> Iterator[Entry]:
    for run in detail.state.runs:
        if run.compensation_requested_at is not None:
            why = " ".join(filter(None, (run.reason, run.reason_detail)))
            yield Entry(
                run.compensation_requested_at, "wish", "cancel asked for", why, who=run.actor
            )


def _attempts(detail: OrderDetail) -> Iterator[Entry]:
    for run in detail.state.runs:
        for position, row in enumerate(run.journal):
            if row.is_remote:
                yield _asked(row, detail.payments)
            if row.ended_at is not None:
                yield _answered(row, row.ended_at, _tried_again(run, position), detail)


def _asked(row: JournalRow, payments: Sequence[PaymentDetail]) -> Entry:
    call = PROVIDER_CALLS.get(row.name, "")
    payment = payments[-1] if payments else None
    told = ""
    data: list[tuple[str, object]] = []
    if payment is not None and call:
        amount = money(payment.amount_minor, payment.currency)
        told = _ASKED[call].format(amount=amount, method=payment.payment_method)
        keys = [(f"key of {each}", payment.keys[each]) for each in CALLS[call]]
        again: list[tuple[str, object]] = [("keys", "the same as before")]
        data = [("intent", payment.intent_id), *(keys if row.attempt == 1 else again)]
    what = f"{row.name}: asked, attempt {row.attempt}"
    return Entry(row.started_at, "to the bank", what, told, data=[each for each in data if each[1]])


def _answered(row: JournalRow, at: datetime, then: str, detail: OrderDetail) -> Entry:
    outcome = _OUTCOMES.get(row.outcome, row.outcome)
    attempt = f", attempt {row.attempt}" if row.attempt > 1 else ""
    undoing = "undo" if row.direction == "compensating" else "step"
    data = list(_flat(row.output))
    if row.outcome == "done" and PROVIDER_CALLS.get(row.name) == "close":
        data += _refund_ids(detail.payments)
    return Entry(
        at,
        "from the bank" if row.is_remote else undoing,
        f"{row.name}: {outcome}{attempt}",
        " ".join(filter(None, (_WHOSE_TURN.get(row.error), row.error, row.detail, then))),
        tone=_TONES.get(row.outcome, ""),
        data=data,
    )


def _tried_again(run: RunDetail, position: int) -> str:
    """When what did not succeed was, or will be, tried again."""
    row = run.journal[position]
    if row.outcome in ("done", "rejected"):
        return ""
    same = (row.step, row.direction)
    for later in run.journal[position + 1 :]:
        if (later.step, later.direction) == same:
            return f"· tried again at {clock(later.started_at)}"
    next_try = row.not_before or (run.not_before if row.direction == "forward" else None)
    if run.is_live and next_try is not None:
        return f"· next try at {clock(next_try)}"
    return ""


def _flat(output: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What the bank answered, as label and value; a list's items one after the other."""
    for label, value in output.items():
        if isinstance(value, list):
            for each in value:
                yield from _flat(each)
        elif value != "":
            yield label.replace("_", " "), value


def _refund_ids(payments: Sequence[PaymentDetail]) -> list[tuple[str, object]]:
    return [
        ("refund", each.refund.provider_refund_id)
        for each in payments
        if each.refund is not None and each.refund.provider_refund_id
    ]


def _events(detail: OrderDetail) -> Iterator[Entry]:
    for name, at in detail.events:
        yield Entry(at, "event", name)


def _people(detail: OrderDetail) -> Iterator[Entry]:
    for each in detail.actions:
        is_note = each.kind == ActionKind.NOTE
        was_done = each.outcome == ActionOutcome.DONE
        kind = ActionKind(each.kind).label
        yield Entry(
            each.at,
            "note" if is_note else "person",
            "note" if is_note else f"{kind}: {each.outcome}",
            each.reason if was_done else f"{each.reason} · {each.told}",
            who=each.actor,
            tone="" if was_done else "bad",
            data=[] if is_note else [("before", each.before), ("after", each.after)],
        )


def _breaks(detail: OrderDetail) -> Iterator[Entry]:
    for each in detail.state.breaks:
        yield Entry(each.first_seen, "break", f"{each.code} found broken", each.detail, tone="bad")
        if each.order_paused_at is not None:
            yield Entry(each.order_paused_at, "break", f"paused by {each.code}", tone="bad")
        if each.resolved_at is not None:
            yield Entry(
                each.resolved_at,
                "break",
                f"{each.code} resolved",
                each.resolution,
                who=each.resolved_by,
                tone="good",
            )


def clock(moment: datetime) -> str:
    """A time of day, to the second; the page says that it is UTC."""
    return moment.strftime("%H:%M:%S")
