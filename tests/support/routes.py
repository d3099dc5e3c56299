"""All routes of the URL resolver, by name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


@dataclass(frozen=True)
class Route:
    """One route of the application."""

    name: str
    """With its namespace. A route without a name has its pattern here."""
    pattern: str

    @property
    def is_desk(self) -> bool:
        return self.pattern.startswith("admin/")

    def path(self, values: Mapping[str, object]) -> str:
        """Return the path with ``values`` for its parameters. Raises KeyError for a missing one."""
        plain = self.pattern.replace("^", "").replace("$", "")
        return "/" + PARAMETER.sub(lambda found: str(values[found[1] or found[2]]), plain)


def key_of_some_row(route: Route) -> object:
    """Return the key of any row of the desk page's model; None when there is no row or model."""
    _, app, model, *_ = [*route.pattern.split("/"), "", ""]
    if app not in apps.app_configs or model not in apps.all_models[app]:
        return None
    row = apps.get_model(app, model)._default_manager.order_by("pk").first()
    return row.pk if row else None


def all_routes() -> list[Route]:
    return list(_routes(get_resolver().url_patterns, "", ""))


def _routes(
    patterns: Sequence[URLPattern | URLResolver], prefix: str, namespace: str
) -> Iterator[Route]:
    for route in patterns:
        pattern = f"{prefix}{route.pattern}"
        if isinstance(route, URLPattern):
            yield Route(f"{namespace}{route.name}" if route.name else pattern, pattern)
        else:
            inner = f"{route.namespace}:" if route.namespace else ""
            yield from _routes(route.url_patterns, pattern, namespace + inner)
