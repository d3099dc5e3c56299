"""The OpenAPI document and Swagger UI. Both are public."""

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


class CachedGenerator(SchemaGenerator):
    """Generates the document once per process, not once per request."""

    def get_schema(self, *_: Any, **__: Any) -> dict[str, Any]:
        return _document()


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return document


class DocumentView(SpectacularAPIView):
    """OpenAPI 3.1, as YAML or as JSON."""

    generator_class = CachedGenerator


class SwaggerView(SpectacularSwaggerSplitView):
    """Swagger UI, served from this server, without inline scripts and styles."""

    # OPTIONS would fail: the page's renderer has nothing to render for it.
    http_method_names = ("get", "head")
    template_name = "orders/manual.html"
