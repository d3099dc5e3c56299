"""Text fields with a pattern, whose error message names the expected format in words."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class TextFormat:
    """An annotation for ``str`` fields: ``Annotated[str, TextFormat(pattern, "in words")]``.

    The pattern is part of the JSON schema. A value that does not match gets the error
    "Expected: in words"; pydantic's own message would show the regular expression.
    """

    pattern: str
    in_words: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        text: Any = {**handler(source), "pattern": self.pattern}
        return core_schema.custom_error_schema(
            text,
            custom_error_type="text_format",
            custom_error_message=f"Expected: {self.in_words}",
        )
