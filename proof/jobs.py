"""What a prover plays, and what comes back: a job and its result."""

from dataclasses import dataclass
from datetime import timedelta

from proof.points import Fault, Point

MOST_ROUNDS = 50
"""Rounds of waiting and working in which every order must have ended."""


@dataclass(frozen=True)
class Job:
    """One run: a scenario, with a fault at one point or without any.

    ``bug`` is a seeded bug by its name, or any function as ``module:name``: every process of the
    run calls it before it begins to work. It breaks the code on purpose; the proof must notice.
    """

    scenario: str
    fault: Fault | None = None
    bug: str = ""
    most_rounds: int = MOST_ROUNDS

    def __str__(self) -> str:
        return f"{self.scenario}/{self.fault}" if self.fault else self.scenario


@dataclass(frozen=True)
class Finding:
    """Something that must never happen."""

    kind: str
    detail: str


@dataclass
class Result:
    """What one run passed, found and took.

    ``recovery`` is by the clocks of leases and back-offs, as in production; the work itself takes
    none of that time.
    """

    points: list[Point]
    findings: list[Finding]
    rounds: int
    recovery: timedelta | None = None
