"""A figure with its aim, and what the machine did beside its measurement."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from benchmarks.figures import percentile
from benchmarks.speed import SpeedProbe

MS: Final = "ms"


class Figure(NamedTuple):
    """A measured value. It is ok if it does not exceed its aim."""

    part: str
    name: str
    value: float
    unit: str
    n: int  # how many measurements it is of
    aim: float | None = None

    @property
    def ok(self) -> bool:
        """Return whether the aim is reached; true without one."""
        return self.aim is None or self.value <= self.aim


class Machine(NamedTuple):
    """How busy and how fast the machine was beside a part of the benchmark."""

    part: str
    load_before: float  # average of the last minute
    load_after: float
    slow: float  # times slower than the reference machine


def percentiles(
    part: str, name: str, milliseconds: Sequence[float], *, aim: float | None
) -> list[Figure]:
    """Return p50, p99 and the maximum. The aim is for p99."""
    n = len(milliseconds)
    return [
        Figure(part, f"{name}, p50", percentile(milliseconds, 50), MS, n),
        Figure(part, f"{name}, p99", percentile(milliseconds, 99), MS, n, aim),
        Figure(part, f"{name}, max", percentile(milliseconds, 100), MS, n),
    ]


@contextmanager
def beside(part: str, machines: list[Machine]) -> Iterator[None]:
    """Note what the machine does while the block runs."""
    before, probe = os.getloadavg()[0], SpeedProbe()
    try:
        yield
    finally:
        machines.append(Machine(part, before, os.getloadavg()[0], probe.stop()))
