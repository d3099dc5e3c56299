"""Pydantic models in the OpenAPI document: one component for each."""

from typing import Any, Final

from drf_spectacular.contrib.pydantic import PydanticExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction
from pydantic.json_schema import GenerateJsonSchema

_COMPONENT: Final = "#/components/schemas/{model}"


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out titles, which only repeat the names of the fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


class ModelExtension(PydanticExtension):
    """Describes requests as they are validated, and responses as they are serialized.

    The library's own extension describes both as serialized: fields with a default would be
    required in requests.
    """

    priority = 1

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        schema: dict[str, Any] = self.target.model_json_schema(
            ref_template=_COMPONENT,
            schema_generator=_WithoutTitles,
            mode="validation" if direction == "request" else "serialization",
        )
        for name, definition in schema.pop("$defs", {}).items():
            auto_schema.registry.register_on_missing(
                ResolvedComponent(name, ResolvedComponent.SCHEMA, definition, object=name)
            )
        return schema
