"""The body of a signal, and the response to it."""

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from orders.api.http.request_schemas import RequestSchema
from orders.api.http.response_schemas import ResponseSchema


class SignalPayload(RequestSchema):
    """The payload of a signal. The saga of the order declares which fields it has."""

    model_config = ConfigDict(extra="allow")


class AcceptedSignal(ResponseSchema):
    """A signal that is recorded, and that the order's run takes."""

    id: str
    order_id: str
    name: Annotated[str, Field(description="The name of the signal, as in the path.")]


EXAMPLE_PAYLOAD: Final[dict[str, Any]] = {"verdict": "clear", "score": 12}
EXAMPLE_ACCEPTED: Final = {
    "id": "01a35678-6a75-7cc0-9d0e-3f6b8f1c2a47",
    "order_id": "0199d2a7-6f6a-7c31-8a51-3b6a5a0d3c11",
    "name": "fraud_checked",
}
