"""The document as it is fetched, and as a page to read and try out; both are public."""

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


class MadeOnce(SchemaGenerator):
    """Makes the document for each process once, and not for each reader."""

    def get_schema(self, *_: Any, **__: Any) -> dict[str, Any]:
        return _document()


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return document


class Document(SpectacularAPIView):
    """OpenAPI 3.1, as YAML or as JSON."""

    generator_class = MadeOnce


class Manual(SpectacularSwaggerSplitView):
    """Swagger UI from our own server, without a script or a style inside the page."""

    # OPTIONS has no page to show.
    http_method_names = ("get", "head")
    template_name = "orders/manual.html"
