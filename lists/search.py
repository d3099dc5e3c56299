"""What a term that somebody searches for may be. Each reading of it is answered from an index."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

M = TypeVar("M", bound=Model)

Reading = Callable[[str], Q | None]
"""Takes a term; returns what it names if it is so read, or None where it can name nothing."""

_ID_OR_BEGINNING: Final = re.compile(r"[0-9a-f]{8,32}")
_LONGEST: Final = 255
_MOST: Final = 1000


def narrowed(rows: QuerySet[M], term: str, readings: Iterable[Reading]) -> QuerySet[M]:
    """Narrow ``rows`` to what ``term`` names by any reading; none, at once, where it names nothing."""
    term = term.strip()
    if not term or len(term) > _LONGEST or not term.isprintable():
        return rows.none()
    found = Q()
    for reading in readings:
        found |= reading(term) or Q()
    return rows.filter(found) if found else rows.none()


def ids_that_begin(term: str) -> tuple[UUID, UUID] | None:
    """Return the first and the last id that begin like ``term``, which may be a whole one."""
    digits = term.lower().replace("-", "")
    if not _ID_OR_BEGINNING.fullmatch(digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def by_id(*columns: str) -> Reading:
    """Read a term as an id, or how it begins, in one of ``columns``, each of which has an index."""

    def read(term: str) -> Q | None:
        between = ids_that_begin(term)
        if between is None:
            return None
        first, last = between
        found = Q()
        for each in columns:
            found |= Q(**{f"{each}__gte": first, f"{each}__lte": last})
        return found

    return read


def exactly(column: str) -> Reading:
    """Read a term as the whole value of ``column``, which has an index."""
    return lambda term: Q(**{column: term})


def through(column: str, found: Callable[[str], QuerySet[Any, Any] | None]) -> Reading:
    """Read a term as something of another table, whose rows name values of ``column``.

    They are read first, 1,000 at most: PostgreSQL takes no index for an OR with a subquery in it.
    """

    def read(term: str) -> Q | None:
        others = found(term)
        values = [] if others is None else list(others[:_MOST])
        return Q(**{f"{column}__in": values}) if values else None

    return read
