"""Query parameters in the document, made of the models by which they are read."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from pydantic import TypeAdapter

from orders.api.http.query_params import Query


def parameters_of(query: type[Query]) -> tuple[OpenApiParameter, ...]:
    """Describe each parameter of a query; none of them has to be given."""
    return tuple(
        OpenApiParameter(
            name,
            _form(field.rebuild_annotation()),
            OpenApiParameter.QUERY,
            description=field.description or "",
        )
        for name, field in query.model_fields.items()
    )


def _form(annotation: Any) -> dict[str, Any]:
    """Say what it may be, as far as one parameter's own schema can: without references or null."""
    schema = TypeAdapter(annotation).json_schema()
    named = schema.pop("$defs", {})
    schema.pop("description", None)
    schema.pop("uniqueItems", None)  # what is said twice is said once
    if "anyOf" in schema:
        [schema] = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
    items = schema.get("items", {})
    if "$ref" in items:
        found = named[items["$ref"].rpartition("/")[2]]
        schema["items"] = {key: found[key] for key in ("type", "enum")}
    return dict(schema)
