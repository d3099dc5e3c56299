"""Request and response for making a guest link."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field

from access.links import DEFAULT_DAYS, MAX_DAYS
from orders.api.http.request_schemas import RequestSchema
from orders.api.http.response_schemas import ResponseSchema


class NewLink(RequestSchema):
    """How long a guest link is valid, and whether it allows cancelling."""

    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = DEFAULT_DAYS
    may_cancel: bool = True


class Link(ResponseSchema):
    """Access to one order without an account. Everyone who has the link can use it."""

    url: str
    token: Annotated[str, Field(description="The last part of the URL.")]
    may_cancel: bool
    expires_at: datetime


_SIGNED_TEXT: Final = (
    "WyIwMTlhYTNjMDVkMmU3YzRhOWE1MzdmMGM3YTFlNmIxMSIsNywwLDEsMTc5NzkzMTgwMF0:hPZ0q1Tn5v7mXo2fE4"
)
EXAMPLE_LINK: Final = Link(
    url=f"https://shop.example/api/v1/guest/orders/{_SIGNED_TEXT}",
    token=_SIGNED_TEXT,
    may_cancel=True,
    expires_at=datetime(2026, 12, 21, 9, 30, tzinfo=UTC),
).as_json()
