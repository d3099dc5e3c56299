"""Pydantic's models in the document: each a component of its own, however often it is used."""

from typing import Any, Final

from drf_spectacular.contrib.pydantic import PydanticExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import Direction
from pydantic.json_schema import GenerateJsonSchema

_COMPONENT: Final = "#/components/schemas/{model}"


class _Untitled(GenerateJsonSchema):
    """Without titles that only repeat the name of the field."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


class ModelExtension(PydanticExtension):
    """What is asked is described as it is checked, what is answered as it is written.

    The library's own describes both as written, where a field with a default is never missing.
    """

    priority = 1

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        schema: dict[str, Any] = self.target.model_json_schema(
            ref_template=_COMPONENT,
            schema_generator=_Untitled,
            mode="validation" if direction == "request" else "serialization",
        )
        for name, part in schema.pop("$defs", {}).items():
            auto_schema.registry.register_on_missing(
                ResolvedComponent(name, ResolvedComponent.SCHEMA, part, object=name)
            )
        return schema
