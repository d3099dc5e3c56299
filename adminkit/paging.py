"""Pages of rows without counting: a page knows only whether another one follows."""

from typing import Any, Final

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

MAX_PAGES: Final = 200
"""Deeper pages are refused, because PostgreSQL would read all the rows it skips."""


class UncountedPaginator(Paginator[Any]):
    """Knows no count. The change list reads one row beyond the page instead."""

    count = 0
    template_name = "adminkit/pagination.html"


class UncountedChangeList(ChangeList):
    """One page of rows. ``has_next`` says whether another one follows."""

    has_next: bool

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Ignore an order in the address."""
        self.params.pop(ORDER_VAR, None)
        return super().get_ordering(request, queryset)

    def get_results(self, request: HttpRequest) -> None:  # noqa: ARG002 - Django's signature
        if not 1 <= self.page_num <= MAX_PAGES:
            raise IncorrectLookupParameters
        self.paginator = UncountedPaginator([], self.list_per_page)
        begin = (self.page_num - 1) * self.list_per_page
        found = list(self.queryset[begin : begin + self.list_per_page + 1])
        self.has_next = len(found) > self.list_per_page
        self.result_list: Any = found[: self.list_per_page]
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
