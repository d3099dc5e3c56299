"""Query parameters in the OpenAPI document, from the models that validate them."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from pydantic import TypeAdapter

from orders.api.http.query_params import QueryParams


def query_parameters(params: type[QueryParams]) -> tuple[OpenApiParameter, ...]:
    """Describe each parameter. All are optional."""
    return tuple(
        OpenApiParameter(
            name,
            _schema(field.rebuild_annotation()),
            OpenApiParameter.QUERY,
            description=field.description or "",
        )
        for name, field in params.model_fields.items()
    )


def _schema(annotation: Any) -> dict[str, Any]:
    """Return a schema that stands alone: without references and without null."""
    schema = TypeAdapter(annotation).json_schema()
    definitions = schema.pop("$defs", {})
    schema.pop("description", None)
    schema.pop("uniqueItems", None)  # repeated values are accepted
    if "anyOf" in schema:
        [schema] = [option for option in schema.pop("anyOf") if option != {"type": "null"}]
    items = schema.get("items", {})
    if "$ref" in items:
        definition = definitions[items["$ref"].rpartition("/")[2]]
        schema["items"] = {key: definition[key] for key in ("type", "enum")}
    return dict(schema)
