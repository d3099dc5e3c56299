"""What every list at the desk has in common, and rows that are only to be read."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin

from lists.names import name_of_list
from lists.paging import UncountedList
from lists.search import Reading, narrowed

M = TypeVar("M", bound=Model)


class ReadOnly:
    """For rows that have another writer: editing them here would lie."""

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False


def is_superuser(request: HttpRequest) -> bool:
    """Return whether a superuser asks: only superusers give others access, or change it."""
    return bool(request.user.is_superuser)


class WrittenBySuperusers:
    """For rows that give access: other staff could give themselves more than they have.

    The permission to change such rows lets other staff see them.
    """

    def has_add_permission(self, request: HttpRequest, *_: Any, **__: Any) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, *_: Any, **__: Any) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, *_: Any, **__: Any) -> bool:
        return is_superuser(request)


class Listed(ModelAdmin[M]):
    """A list that stays quick however many rows there are: a page of them, newest first.

    Nothing is counted or sorted otherwise. Filters are ``lists.filters``, a search is answered by
    ``readings`` alone, and no other lookup may stand in the address.
    """

    change_list_template = "desk/lists/list.html"
    list_filter_sheet = True
    list_fullwidth = True
    list_per_page = 50
    ordering: ClassVar[Any] = ("-pk",)
    sortable_by: ClassVar[Any] = ()
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    empty_value_display = ""
    actions: Any = None

    readings: ClassVar[Sequence[Reading]] = ()
    listed_as: ClassVar[str] = ""
    """What the list is called, in the menu too; the model's own name if empty."""
    when_empty: ClassVar[str] = ""
    """What would be in the list, and why nothing is."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse | HttpResponse:
        name = name_of_list(self)
        called = {"title": capfirst(name), "name_of_list": name}
        return super().changelist_view(request, {**called, **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[UncountedList]:  # noqa: ARG002 - Django's signature
        return UncountedList

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002 - Django's signature
        """Have a search box where something can be found; how it searches is below."""
        return ("pk",) if self.readings else ()

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[M],
        search_term: str,
    ) -> tuple[QuerySet[M], bool]:
        return (narrowed(queryset, search_term, self.readings) if search_term else queryset), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # noqa: ARG002
        """Nothing but the filters: a lookup made by hand could read the whole table."""
        return lookup in {getattr(each, "parameter_name", "") for each in self.list_filter}


class Recorded(ReadOnly, Listed[M]):
    """Rows that have another writer: a list, and a page for each with what it has to say."""

    change_form_template = "desk/lists/record.html"

    def get_fields(self, request: HttpRequest, obj: M | None = None) -> Any:
        """Leave out what is empty."""
        return [
            each
            for each in super().get_fields(request, obj)
            if not isinstance(each, str) or self._said(each, obj) not in (None, "")
        ]

    def _said(self, field: str, obj: M | None) -> Any:
        shows = getattr(self, field, None)
        return shows(obj) if callable(shows) else getattr(obj, field)
