"""What the customers were told: one line for each answer, and for each time that none came."""

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self


class Request(StrEnum):
    """What a customer asked."""

    PLACE = "place"
    CANCEL = "cancel"
    LOOK = "look"


class Outcome(StrEnum):
    """What the customer knows then."""

    ACKED = "acked"  # it is so: a 2xx came
    REFUSED = "refused"  # it is not so, and repeating will not help
    UNKNOWN = "unknown"  # no answer, or one that says "ask again"


class Told(NamedTuple):
    """What an answer said of an order."""

    id: str
    status: str
    reason: str
    total_minor: int


class Event(NamedTuple):
    """One line of the log. ``at`` is in seconds since the run's start."""

    at: float
    errand: int
    request: Request
    outcome: Outcome
    told: Told | None
    detail: str  # HTTP status, or what the connection did


class History:
    """The log, as it is written. Any thread may write."""

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
        self, errand: int, request: Request, outcome: Outcome, told: Told | None, detail: str
    ) -> None:
        at = round(time.monotonic() - self._began, 3)
        event = Event(at, errand, request, outcome, told, detail)
        line = json.dumps({**event._asdict(), "told": told and told._asdict()})
        with self._lock:
            if not self._stream.closed:  # a customer may still hang on when the run is called off
                self._stream.write(line + "\n")
                self._stream.flush()


@dataclass
class Conversation:
    """All that one customer was told."""

    placed: dict[str, Told] = field(default_factory=dict)
    """The orders that the key was said to stand for, by id: one, if all is well."""

    acked_at: float | None = None
    was_refused: bool = False
    asked_to_cancel: bool = False
    cancel_was_acked: bool = False
    unexpected: list[str] = field(default_factory=list)
    """Refusals of what cannot be refused: looking at an order of one's own, or cancelling it."""

    ends: list[Told] = field(default_factory=list)
    """What was said to be the end, each time that it was."""

    unknowns: int = 0

    @property
    def is_resolved(self) -> bool:
        return bool(self.placed) or self.was_refused

    def hear(self, event: Event) -> None:
        self.asked_to_cancel |= event.request == Request.CANCEL
        if event.outcome == Outcome.UNKNOWN:
            self.unknowns += 1
        elif event.outcome == Outcome.REFUSED and event.request == Request.PLACE:
            self.was_refused = True
        elif event.outcome == Outcome.REFUSED:
            self.unexpected.append(f"{event.request}: {event.detail}")
        elif event.told is not None:
            self._believe(event, event.told)

    def _believe(self, event: Event, told: Told) -> None:
        if event.request == Request.PLACE:
            self.placed.setdefault(told.id, told)
            self.acked_at = event.at if self.acked_at is None else self.acked_at
        self.cancel_was_acked |= event.request == Request.CANCEL
        if told.status in ("confirmed", "cancelled"):
            self.ends.append(told)


def read(file: Path) -> list[Event]:
    return [_event(json.loads(line)) for line in file.read_text().splitlines()]


def conversations(events: Iterable[Event], errands: int) -> dict[int, Conversation]:
    """Return what each customer was told, also those who were told nothing."""
    found = {number: Conversation() for number in range(errands)}
    for event in events:
        found[event.errand].hear(event)
    return found


def _event(row: Mapping[str, Any]) -> Event:
    told = row["told"]
    return Event(
        at=row["at"],
        errand=row["errand"],
        request=Request(row["request"]),
        outcome=Outcome(row["outcome"]),
        told=None if told is None else Told(**told),
        detail=row["detail"],
    )
