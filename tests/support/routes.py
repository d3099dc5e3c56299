"""Every route that the resolver knows, by name, with how its address is made."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


@dataclass(frozen=True)
class Route:
    name: str
    """With its namespace; where it has none, its pattern."""
    pattern: str

    @property
    def is_of_the_desk(self) -> bool:
        return self.pattern.startswith("admin/")

    def path(self, values: Mapping[str, object]) -> str:
        """The address with ``values`` for its parameters; raises KeyError for one without."""
        plain = self.pattern.replace("^", "").replace("$", "")
        return "/" + PARAMETER.sub(lambda found: str(values[found[1] or found[2]]), plain)


def all_routes() -> list[Route]:
    return list(_routes(get_resolver().url_patterns, "", ""))


def _routes(
    patterns: Sequence[URLPattern | URLResolver], prefix: str, namespace: str
) -> Iterator[Route]:
    for each in patterns:
        pattern = f"{prefix}{each.pattern}"
        if isinstance(each, URLPattern):
            yield Route(f"{namespace}{each.name}" if each.name else pattern, pattern)
        else:
            inner = f"{each.namespace}:" if each.namespace else ""
            yield from _routes(each.url_patterns, pattern, namespace + inner)
