"""Filters that read no more of a table than a page needs."""

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

NEWEST: Final = 10_000
"""How many rows, newest first, a filter looks through where no index answers it."""


class Choice(admin.SimpleListFilter):
    """One choice out of a few; anything else that stands in an address finds nothing."""

    choosable: tuple[tuple[str, str], ...] = ()

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return list(self.choosable)

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's signature
        chosen = self.value()
        if chosen is None:
            return rows
        if chosen not in {str(key) for key, _ in self.lookup_choices}:
            return rows.none()
        return self.narrow(rows, chosen)

    def narrow(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        raise NotImplementedError


class AmongTheNewest(Choice):
    """A choice by a column that has no index, as keeping one would cost every order.

    Ids grow with time, so the newest rows are one end of the primary key.
    """

    column: str

    def narrow(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        ids = rows.model.objects.order_by("-pk").values_list("pk", flat=True)
        begin = ids[NEWEST - 1 : NEWEST].first()
        if begin is not None:
            rows = rows.filter(pk__gte=begin)
        return rows.filter(**{self.column: chosen})


def among_the_newest(
    column: str, title: str, choices: list[tuple[str, str]]
) -> type[AmongTheNewest]:
    """Make a filter by the values of a column."""
    return type(
        "AmongTheNewest",
        (AmongTheNewest,),
        {
            "column": column,
            "title": f"{title}, among the newest {NEWEST:,}",
            "parameter_name": column,
            "choosable": tuple(choices),
        },
    )
