"""Fault points, the moments at which a process can break, and the modes in which it can."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Which boundary of the process a point is at."""

    COMMIT = "commit"  # of a transaction
    SAVEPOINT = "savepoint"  # its release
    WRITE = "write"  # outside any transaction, so committed at once; always a finding
    HOOK = "on-commit"
    HTTP = "http"  # a request to an outside service
    PUBLISH = "publish"  # a message to the broker
    ACK = "ack"  # of a processed message


class Mode(StrEnum):
    """How a point breaks."""

    KILL_BEFORE = "kill-before"
    KILL_AFTER = "kill-after"
    ERROR_BEFORE = "error-before"  # the effect does not happen, and the caller sees an error
    ERROR_AFTER = "error-after"  # the effect happens, and the caller sees the same error
    HANG = "hang"  # the process waits until all others have brought the order to its end


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a scenario. Its name stays the same while the code around it changes."""

    actor: str
    task: str  # the Celery task that was running; "-" outside a task
    kind: Kind
    label: str
    nth: int  # counts the points that are the same in everything else, from 1

    def __str__(self) -> str:
        return f"{self.actor}/{self.task}/{self.kind}/{self.label}/{self.nth}"

    @classmethod
    def parse(cls, name: str) -> "Point":
        actor, task, kind, label, nth = name.split("/")
        return cls(actor, task, Kind(kind), label, int(nth))


@dataclass(frozen=True, slots=True)
class Fault:
    """One point, and the mode in which it breaks in this run."""

    point: Point
    mode: Mode

    def __str__(self) -> str:
        return f"{self.point}/{self.mode}"
