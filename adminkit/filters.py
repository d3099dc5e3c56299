"""List filters that read no more rows than one page needs."""

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

NEWEST_ROWS: Final = 10_000
"""How many of the newest rows a filter scans where no index answers it."""


class ChoiceFilter(admin.SimpleListFilter):
    """A choice among ``options``. An unknown value in the address matches no rows."""

    options: tuple[tuple[str, str], ...] = ()

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return list(self.options)

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's signature
        chosen = self.value()
        if chosen is None:
            return rows
        if chosen not in {str(key) for key, _ in self.lookup_choices}:
            return rows.none()
        return self.apply(rows, chosen)

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        raise NotImplementedError


class NewestRowsFilter(ChoiceFilter):
    """A choice by a column without an index, which would slow down every order.

    Ids grow with time, so the newest rows are at one end of the primary key.
    """

    column: str

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        ids = rows.model.objects.order_by("-pk").values_list("pk", flat=True)
        begin = ids[NEWEST_ROWS - 1 : NEWEST_ROWS].first()
        if begin is not None:
            rows = rows.filter(pk__gte=begin)
        return rows.filter(**{self.column: chosen})


def newest_rows_filter(
    column: str, title: str, choices: list[tuple[str, str]]
) -> type[NewestRowsFilter]:
    """Return a filter class for the values of ``column``."""
    return type(
        "NewestRowsFilter",
        (NewestRowsFilter,),
        {
            "column": column,
            "title": f"{title}, among the newest {NEWEST_ROWS:,}",
            "parameter_name": column,
            "options": tuple(choices),
        },
    )
