"""The plan of a benchmark, read from the environment, as `make bench NAME=VALUE` sets it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

P = TypeVar("P", bound=BaseModel)


class InvalidPlan(ValueError):
    """The environment has an invalid value; the message names it."""


class Plan(BaseModel):
    """One benchmark. With ``rate`` it is an open loop, otherwise a closed one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: Annotated[int, Field(ge=1, le=1000)] = 48  # orders outstanding at any time
    rate: Annotated[float, Field(gt=0, le=1000)] | None = None  # orders a second
    seconds: Annotated[float, Field(gt=0, le=3600)] = 20  # of each window
    warm_up: Annotated[float, Field(ge=0, le=600)] = 5
    repeat: Annotated[int, Field(ge=1, le=20)] = 1  # windows; the report has their medians
    latency_ms: Annotated[int, Field(ge=0, le=10_000)] = 0  # of each response of the Stripe sandbox
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
        """Return a short name of the load."""
        return f"closed-{self.clients}" if self.rate is None else f"open-{self.rate:g}"


def plan_from(environment: Mapping[str, str], kind: type[P]) -> P:
    """Read a plan from variables named like its fields. Raises InvalidPlan."""
    given = {
        field: value for field in kind.model_fields if (value := environment.get(field.upper()))
    }
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        wrong = [
            f"{'_'.join(map(str, details['loc'])).upper()} {details['msg']}".strip()
            for details in error.errors()
        ]
        raise InvalidPlan("; ".join(wrong)) from None
