"""The customers' log: one line for each response, and one for each request without a response."""

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self


class RequestKind(StrEnum):
    """What a customer requests."""

    PLACE = "place"
    CANCEL = "cancel"
    READ = "read"
    PAY = "pay"  # by another card

    # What ends a wait otherwise. Only successes are logged, without an order.
    AUTHENTICATE = "authenticate"
    DECIDE = "decide"
    LEAVE = "leave"  # until the deadline


WAIT_ANSWERS: Final = frozenset(
    {RequestKind.PAY, RequestKind.AUTHENTICATE, RequestKind.DECIDE, RequestKind.LEAVE}
)


class RequestOutcome(StrEnum):
    """What the customer knows after a request."""

    ACKED = "acked"  # done: a 2xx came
    REJECTED = "rejected"  # not done, and repeating does not help
    UNKNOWN = "unknown"  # no response, or one after which the request is repeated


class OrderResponse(NamedTuple):
    """The order as a response shows it."""

    id: str
    status: str
    reason: str
    total_minor: int
    waits_for: str = ""  # the code of what it waits for
    intent_id: str = ""  # the intent that the customer can authenticate
    payment_id: str = ""  # the payment that the customer can replace


class LoggedRequest(NamedTuple):
    """One line of the log. ``at`` is in seconds since the run's start."""

    at: float
    visit: int
    request: RequestKind
    outcome: RequestOutcome
    response: OrderResponse | None
    detail: str  # HTTP status, or the error of the connection


class RequestLog:
    """The log file while customers write it. Any thread may write."""

    def __init__(self, file: Path, began: float) -> None:
        self._stream = file.open("w")
        self._lock = threading.Lock()
        self._began = began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        with self._lock:
            self._stream.close()

    def write(
        self,
        visit: int,
        request: RequestKind,
        outcome: RequestOutcome,
        response: OrderResponse | None,
        detail: str,
    ) -> None:
        at = round(time.monotonic() - self._began, 3)
        entry = LoggedRequest(at, visit, request, outcome, response, detail)
        line = json.dumps({**entry._asdict(), "response": response and response._asdict()})
        with self._lock:
            if not self._stream.closed:  # a customer may still wait when the run is stopped
                self._stream.write(line + "\n")
                self._stream.flush()


@dataclass
class CustomerResponses:
    """All responses to one customer."""

    placed: dict[str, OrderResponse] = field(default_factory=dict)
    """The accepted orders of the customer's key, by id; more than one is a finding."""

    acked_at: float | None = None
    was_rejected: bool = False
    asked_to_cancel: bool = False
    cancel_was_acked: bool = False
    unexpected: list[str] = field(default_factory=list)
    """Rejections of requests that must not be rejected: reading or cancelling one's own order."""

    ends: list[OrderResponse] = field(default_factory=list)
    """The responses with a final status, in their order."""

    unknowns: int = 0
    answered: set[RequestKind] = field(default_factory=set)
    """What ended the order's waits, as far as the customer knows."""

    @property
    def is_resolved(self) -> bool:
        return bool(self.placed) or self.was_rejected

    def add(self, entry: LoggedRequest) -> None:
        """Add one request of the customer with its response."""
        self.asked_to_cancel |= entry.request == RequestKind.CANCEL
        if entry.outcome == RequestOutcome.ACKED and entry.request in WAIT_ANSWERS:
            self.answered.add(entry.request)
        if entry.outcome == RequestOutcome.UNKNOWN:
            self.unknowns += 1
        elif entry.outcome == RequestOutcome.REJECTED and entry.request == RequestKind.PLACE:
            self.was_rejected = True
        elif entry.outcome == RequestOutcome.REJECTED:
            self.unexpected.append(f"{entry.request}: {entry.detail}")
        elif entry.response is not None:
            self._add_acked(entry, entry.response)

    def _add_acked(self, entry: LoggedRequest, response: OrderResponse) -> None:
        if entry.request == RequestKind.PLACE:
            self.placed.setdefault(response.id, response)
            self.acked_at = entry.at if self.acked_at is None else self.acked_at
        self.cancel_was_acked |= entry.request == RequestKind.CANCEL
        if response.status in ("confirmed", "cancelled"):
            self.ends.append(response)


def read_log(file: Path) -> list[LoggedRequest]:
    return [_logged_request(json.loads(line)) for line in file.read_text().splitlines()]


def responses_by_visit(log: Iterable[LoggedRequest], visits: int) -> dict[int, CustomerResponses]:
    """Return the responses of each visit by its number, empty for a visit without any."""
    found = {number: CustomerResponses() for number in range(visits)}
    for entry in log:
        found[entry.visit].add(entry)
    return found


def _logged_request(row: Mapping[str, Any]) -> LoggedRequest:
    response = row["response"]
    return LoggedRequest(
        at=row["at"],
        visit=row["visit"],
        request=RequestKind(row["request"]),
        outcome=RequestOutcome(row["outcome"]),
        response=None if response is None else OrderResponse(**response),
        detail=row["detail"],
    )
