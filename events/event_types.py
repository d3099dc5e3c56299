"""Event types: each kind of event is one class, with its name, version and fields.

Each app declares its types in its module ``events``; ``events.registry`` finds them there. The class
makes the JSON Schema of ``docs/asyncapi.yaml``, and its docstring the text of ``docs/events.md``.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

MinorUnits = Annotated[int, Field(ge=0, description="In the currency's minor unit, such as cents.")]
Currency = Annotated[
    str, Field(pattern=r"^[a-z]{3}$", description="ISO 4217, in lower case.", examples=["eur"])
]


@dataclass(frozen=True, slots=True)
class EventType:
    """The identity of a type. A change that breaks a reader needs a new version."""

    name: str
    """What it happened to, a point, and what happened: ``order.confirmed``."""
    version: int

    @property
    def aggregate(self) -> str:
        """What it happened to, such as ``order`` or ``payment``."""
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class Payload(BaseModel):
    """What events of one type carry; a subclass declares the type.

    ::

        class ParcelSent(Payload, name="parcel.sent", version=1):
            '''A parcel has left the warehouse.'''

            carrier: str

    An object with a missing, unknown or wrong field cannot be made: raises pydantic.ValidationError.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    event_type: ClassVar[EventType]

    def __init_subclass__(cls, *, name: str = "", version: int = 1, **options: Any) -> None:
        super().__init_subclass__(**options)
        if name:  # without one: fields that several types share
            cls.event_type = EventType(name, version)


class OrderedItem(BaseModel):
    """A number of pieces of one product."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sku: str
    quantity: Annotated[int, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became true. ``key`` is the order's id; events of one key are in order."""

    key: UUID
    correlation_id: UUID
    payload: Payload

    @property
    def type(self) -> EventType:
        return self.payload.event_type
