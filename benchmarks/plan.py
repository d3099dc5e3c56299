"""What a benchmark is asked to do: read from the environment, where `make bench NAME=VALUE` puts it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


class PlanRefused(ValueError):
    """The environment asks for something that makes no sense; the message says what."""


class Plan(BaseModel):
    """One benchmark. ``rate`` makes it an open loop; without, it is closed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: Annotated[int, Field(ge=1, le=1000)] = 48  # orders outstanding at any time
    rate: Annotated[float, Field(gt=0, le=1000)] | None = None  # orders a second
    seconds: Annotated[float, Field(gt=0, le=3600)] = 20  # of each window
    warm_up: Annotated[float, Field(ge=0, le=600)] = 5
    repeat: Annotated[int, Field(ge=1, le=20)] = 1  # windows; the median counts
    latency_ms: Annotated[int, Field(ge=0, le=10_000)] = 0  # of the bank
    baskets: Path | None = None
    compare: Path | None = None
    profile: bool = False
    flower: bool = False
    result: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_kind_of_loop(cls, given: Mapping[str, object]) -> Mapping[str, object]:
        if "clients" in given and "rate" in given:
            raise ValueError("CLIENTS is a closed loop and RATE an open one: give one of them")
        return given

    @property
    def load(self) -> str:
        """Say in a word or two what is offered to the system."""
        return f"closed-{self.clients}" if self.rate is None else f"open-{self.rate:g}"


def plan_from(environment: Mapping[str, str]) -> Plan:
    """Read the plan from variables that bear its fields' names. Raises PlanRefused."""
    given = {
        field: value for field in Plan.model_fields if (value := environment.get(field.upper()))
    }
    try:
        return Plan.model_validate(given)
    except ValidationError as error:
        wrong = [
            f"{'_'.join(map(str, each['loc'])).upper()} {each['msg']}".strip()
            for each in error.errors()
        ]
        raise PlanRefused("; ".join(wrong)) from None
