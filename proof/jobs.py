"""What a prover plays, a job, and what it returns, a result with its findings."""

from dataclasses import dataclass
from datetime import timedelta

from proof.points import Fault, Point

MAX_ROUNDS = 50
"""Every order must end within this many rounds of waiting and working."""


@dataclass(frozen=True)
class Job:
    """One run: a scenario, with a fault at one point or without any.

    ``bug`` is the name of a seeded bug, or a function as ``module:name``. Every process of the run
    calls it before it starts to work. It breaks the code on purpose, and the proof must notice.
    """

    scenario: str
    fault: Fault | None = None
    bug: str = ""
    max_rounds: int = MAX_ROUNDS

    def __str__(self) -> str:
        return f"{self.scenario}/{self.fault}" if self.fault else self.scenario


@dataclass(frozen=True)
class Finding:
    """Something that must never happen."""

    kind: str
    detail: str


@dataclass
class Result:
    """The points and findings of one run, and how long it took to recover from its fault.

    ``recovery`` is time of leases and back-offs, as in production. The work itself takes no time, and
    time that passes as an act of the scenario does not count.
    """

    points: list[Point]
    findings: list[Finding]
    rounds: int
    recovery: timedelta | None = None
