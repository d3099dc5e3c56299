"""What a term that somebody searches for may be. Each reading of it is answered from an index."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.db.models.lookups import EndsWith

M = TypeVar("M", bound=Model)

Reading = Callable[[str], Q | None]
"""Takes a term; returns what it names if it is so read, or None where it can name nothing."""

_BEGINNING: Final = re.compile(r"[0-9a-f]{8,32}")
# Nothing longer: a hyphen stands before the last twelve.
_END: Final = re.compile(r"[0-9a-f]{0,12}")
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


def id_like(column: str, term: str) -> Q | None:
    """Read ``term`` as an id in ``column``, as how one begins, or as a list shortens it."""
    digits = term.lower().replace("-", "").replace("...", "…")
    begins, _, ends = digits.partition("…")
    if not (_BEGINNING.fullmatch(begins) and _END.fullmatch(ends)):
        return None
    first, last = UUID(begins.ljust(32, "0")), UUID(begins.ljust(32, "f"))
    found = Q(**{f"{column}__gte": first, f"{column}__lte": last})
    # As text, so that it may also be the column of a foreign key.
    return found & Q(EndsWith(Cast(column, TextField()), ends)) if ends else found


def by_id(*columns: str) -> Reading:
    """Read a term as an id (``id_like``) in one of ``columns``, each of which has an index."""

    def read(term: str) -> Q | None:
        found = Q()
        for each in columns:
            found |= id_like(each, term) or Q()
        return found or None

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
