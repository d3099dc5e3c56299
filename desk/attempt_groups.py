"""Which attempts of a run are one entry of the timeline: the looks of a wait, and equal failures in a row."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from desk.call_payments import payments_of_calls
from payments.admin_queries import PaymentDetail
from sagas.queries.attempts import AttemptView
from sagas.queries.runs import RunDetail
from sagas.work import Escalate, Remote

_PENDING: Final = "pending"
_FAILURES: Final = ("failed", "transient", "unknown", "lost")


@dataclass(slots=True)
class CallWait:
    """One wait for the answer to a call: from the first "the answer comes later" to another answer."""

    first: AttemptView
    looks: list[AttemptView] = field(default_factory=list)
    """The calls after it that were answered in the same way."""
    end: AttemptView | None = None
    """The call that ended the wait; None while it lasts, and where it ended without a call.

    Another payment ends it, too: the first call about that payment is no look.
    """

    @property
    def last(self) -> AttemptView:
        """Return the last call that found no other answer."""
        return self.looks[-1] if self.looks else self.first


@dataclass(slots=True)
class AttemptGroups:
    """The attempts of one run by the entries that show them. Keys are the ids of attempts."""

    waits: dict[int, CallWait] = field(default_factory=dict)
    """Each wait, by its first attempt."""
    failures: dict[int, list[AttemptView]] = field(default_factory=dict)
    """Equal failures in a row, by the first of them."""
    numbers: dict[int, int] = field(default_factory=dict)
    """The number of each attempt. It begins anew after an answer that comes later, and with another
    payment."""
    first_calls: set[int] = field(default_factory=set)
    """The step's first call about each payment."""
    hidden_calls: set[int] = field(default_factory=set)
    """Attempts whose call has no entry of its own."""
    hidden_ends: set[int] = field(default_factory=set)
    """Attempts whose result has no entry of its own."""


@dataclass(frozen=True, slots=True)
class RunAttempts:
    """A run with its attempts, grouped by the entries that show them."""

    run: RunDetail
    groups: AttemptGroups
    payments: Mapping[int, PaymentDetail]
    """The payment of each call to the payment provider, by the id of its attempt."""

    def number(self, attempt: AttemptView) -> int:
        """Return the number of an attempt; see AttemptGroups."""
        return self.groups.numbers[attempt.id]


def run_attempts(run: RunDetail, payments: Sequence[PaymentDetail]) -> RunAttempts:
    """Group the attempts of one run of an order with these payments, oldest first."""
    of_calls = payments_of_calls(run.attempts, payments)
    payment_ids = {attempt_id: payment.id for attempt_id, payment in of_calls.items()}
    return RunAttempts(run, _grouped(run.attempts, payment_ids), of_calls)


def _grouped(attempts: Sequence[AttemptView], payment_ids: Mapping[int, UUID]) -> AttemptGroups:
    """Group the attempts of one run, given in the order of their start.

    ``payment_ids`` has the payment of each call to the payment provider, by the id of its attempt.
    """
    series: dict[tuple[str, str], list[AttemptView]] = defaultdict(list)
    for attempt in attempts:
        series[attempt.step, attempt.direction].append(attempt)
    groups = AttemptGroups()
    for same_work in series.values():
        _group(same_work, payment_ids, groups)
    return groups


def _group(
    attempts: Sequence[AttemptView], payment_ids: Mapping[int, UUID], groups: AttemptGroups
) -> None:
    """Add the attempts at one step, or at its compensation, to ``groups``."""
    wait: CallWait | None = None
    failures: list[AttemptView] = []
    number = 0
    payment: UUID | None = None
    for attempt in attempts:
        if (payment_of_call := payment_ids.get(attempt.id)) != payment:
            groups.first_calls.add(attempt.id)
            payment, wait, failures, number = payment_of_call, None, [], 0
        number += 1
        groups.numbers[attempt.id] = number
        if wait is not None:
            groups.hidden_calls.add(attempt.id)
        if attempt.outcome == _PENDING:
            wait = _accepted(attempt, wait, groups)
            failures, number = [], 0
        elif attempt.outcome in _FAILURES:
            failures = _failed(attempt, failures, groups)
            if wait is not None and _ends_wait(attempt, wait):
                wait.end, wait = attempt, None
        elif not attempt.is_in_flight:
            if wait is not None:
                wait.end, wait = attempt, None
            failures = []


def _accepted(attempt: AttemptView, wait: CallWait | None, groups: AttemptGroups) -> CallWait:
    """Add an attempt whose answer comes later; return the wait that it belongs to."""
    if wait is not None and wait.first.error == attempt.error:
        wait.looks.append(attempt)
        groups.hidden_ends.add(attempt.id)
        return wait
    if wait is not None:
        wait.end = attempt
    groups.waits[attempt.id] = new = CallWait(attempt)
    return new


def _failed(
    attempt: AttemptView, failures: list[AttemptView], groups: AttemptGroups
) -> list[AttemptView]:
    """Add an attempt that failed; return the row of equal failures that it belongs to."""
    if failures and _failure(failures[-1]) == _failure(attempt):
        failures.append(attempt)
        groups.hidden_calls.add(attempt.id)
        groups.hidden_ends.add(attempt.id)
        return failures
    groups.failures[attempt.id] = new = [attempt]
    return new


def _failure(attempt: AttemptView) -> tuple[str, str, str]:
    return attempt.outcome, attempt.error, attempt.detail


def _ends_wait(attempt: AttemptView, wait: CallWait) -> bool:
    """Return whether a failure ended the wait: an error does, where the deadline only calls staff."""
    work = attempt.work
    if attempt.outcome != "failed" or not isinstance(work, Remote):
        return False
    pending = work.pending_by_code.get(wait.first.error)
    return pending is not None and isinstance(pending.overdue, Escalate)
