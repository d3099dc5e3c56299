"""Searches of admin lists: by id, exact value, related table or username. Each uses an index."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Model, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.db.models.lookups import EndsWith

M = TypeVar("M", bound=Model)

Search = Callable[[str], Q | None]
"""Returns the condition for the rows that a term names, or None if it can name none."""

_BEGINNING: Final = re.compile(r"[0-9a-f]{8,32}")
# At most twelve digits: a hyphen precedes the last twelve of an id.
_END: Final = re.compile(r"[0-9a-f]{0,12}")
_MAX_LENGTH: Final = 255
_MAX_RELATED: Final = 1000


def search_rows(rows: QuerySet[M], term: str, searches: Iterable[Search]) -> QuerySet[M]:
    """Return the rows that ``term`` names by any of ``searches``; no rows, without a query, if none apply."""
    term = term.strip()
    if not term or len(term) > _MAX_LENGTH or not term.isprintable():
        return rows.none()
    found = Q()
    for search in searches:
        found |= search(term) or Q()
    return rows.filter(found) if found else rows.none()


def id_matches(column: str, term: str) -> Q | None:
    """Match ``term`` as an id in ``column``: whole, its beginning, or as ``short_id`` shortens it."""
    digits = term.lower().replace("-", "").replace("...", "…")
    beginning, _, end = digits.partition("…")
    if not (_BEGINNING.fullmatch(beginning) and _END.fullmatch(end)):
        return None
    first, last = UUID(beginning.ljust(32, "0")), UUID(beginning.ljust(32, "f"))
    found = Q(**{f"{column}__gte": first, f"{column}__lte": last})
    # Compared as text, so that ``column`` may also be a foreign key.
    return found & Q(EndsWith(Cast(column, TextField()), end)) if end else found


def search_ids(*columns: str) -> Search:
    """Search an id (see ``id_matches``) in ``columns``, which all have an index."""

    def search(term: str) -> Q | None:
        found = Q()
        for column in columns:
            found |= id_matches(column, term) or Q()
        return found or None

    return search


def search_exact(column: str) -> Search:
    """Search the whole value of ``column``, which has an index."""
    return lambda term: Q(**{column: term})


def search_username(column: str) -> Search:
    """Search a whole username in ``column``, a foreign key to a user."""
    return search_related(
        column, lambda name: User.objects.filter(username=name).values_list("pk", flat=True)
    )


def search_related(column: str, found: Callable[[str], QuerySet[Any, Any] | None]) -> Search:
    """Search another table by ``found``, which returns values of ``column``; 1,000 at most.

    The values are read first, because PostgreSQL uses no index for an OR with a subquery in it.
    """

    def search(term: str) -> Q | None:
        values = found(term)
        first = [] if values is None else list(values[:_MAX_RELATED])
        return Q(**{f"{column}__in": first}) if first else None

    return search
