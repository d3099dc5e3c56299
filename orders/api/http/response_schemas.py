"""Base of all response bodies, and field types that several of them share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MinorUnits = Annotated[int, Field(ge=0, description="In minor units of the currency.")]
Currency = Annotated[str, Field(pattern="^[a-z]{3}$", examples=["eur"])]


class ResponseSchema(BaseModel):
    """A response body. Amounts are in minor units, times in UTC; absent values are null."""

    model_config = ConfigDict(frozen=True)

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
