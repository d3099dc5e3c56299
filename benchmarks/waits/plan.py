"""The sizes of the benchmark of waits, read from the environment: `make bench-waits NAME=VALUE`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class WaitsPlan(BaseModel):
    """One benchmark of waits. A part of size 0 is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timers: Annotated[int, Field(ge=0, le=10_000_000)] = 100_000
    timers_per_second: Annotated[float, Field(gt=0, le=10_000)] = 50  # that become due
    timer_seconds: Annotated[float, Field(gt=0, le=3600)] = 60  # in which they are measured
    nudges: Annotated[int, Field(ge=0, le=100_000)] = 300
    nudges_per_second: Annotated[float, Field(gt=0, le=1000)] = 10
    waiting: Annotated[int, Field(ge=0, le=10_000_000)] = 1_000_000
    rounds: Annotated[int, Field(ge=1, le=20)] = 3  # each: a window without, and a window with them
    clients: Annotated[int, Field(ge=1, le=1000)] = 48  # orders outstanding at any time
    seconds: Annotated[float, Field(gt=0, le=3600)] = 20  # of each window
    warm_up: Annotated[float, Field(ge=0, le=600)] = 5
    sweeps: Annotated[int, Field(ge=1, le=100_000)] = 500
    result: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
