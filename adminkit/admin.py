"""Base classes for model admins: paged lists, and pages of rows that staff may only read."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin

from adminkit.names import title_of_list
from adminkit.paging import UncountedChangeList
from adminkit.search import Search, search_rows

M = TypeVar("M", bound=Model)


class ReadOnlyMixin:
    """For rows that other code writes: staff add, change and delete none."""

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False


def is_superuser(request: HttpRequest) -> bool:
    """Return whether the user is a superuser: only superusers give or change access."""
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


class PagedAdmin(ModelAdmin[M]):
    """A list that stays fast on a table of any size: pages of rows, newest first.

    It counts no rows and offers no other order. Filters come from ``adminkit.filters``; a search
    term is tried as each of ``searches``; any other lookup in the address is refused.
    """

    change_list_template = "adminkit/list.html"
    list_filter_sheet = True
    list_fullwidth = True
    list_per_page = 50
    ordering: ClassVar[Any] = ("-pk",)
    sortable_by: ClassVar[Any] = ()
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    empty_value_display = ""
    actions: Any = None

    searches: ClassVar[Sequence[Search]] = ()
    list_title: ClassVar[str] = ""
    """The title of the list, also in the menu. Empty for the model's plural name."""
    empty_text: ClassVar[str] = ""
    """Shown instead of an empty list: what it lists, and why there are no rows yet."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse | HttpResponse:
        title = title_of_list(self)
        context = {"title": capfirst(title), "title_of_list": title, **(extra_context or {})}
        return super().changelist_view(request, context)

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[UncountedChangeList]:  # noqa: ARG002 - Django's signature
        return UncountedChangeList

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002 - Django's signature
        """Show a search box if there are searches. ``get_search_results`` ignores the field."""
        return ("pk",) if self.searches else ()

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[M],
        search_term: str,
    ) -> tuple[QuerySet[M], bool]:
        return (
            search_rows(queryset, search_term, self.searches) if search_term else queryset
        ), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # noqa: ARG002
        """Allow the filters only: a lookup typed into the address could scan the table."""
        return lookup in {getattr(filter_, "parameter_name", "") for filter_ in self.list_filter}


class RecordAdmin(ReadOnlyMixin, PagedAdmin[M]):
    """Read-only rows: a list, and a page for each row that shows its non-empty fields."""

    change_form_template = "adminkit/record.html"

    def get_fields(self, request: HttpRequest, obj: M | None = None) -> Any:
        """Leave out empty fields."""
        return [
            field
            for field in super().get_fields(request, obj)
            if not isinstance(field, str) or self._value(field, obj) not in (None, "")
        ]

    def _value(self, field: str, obj: M | None) -> Any:
        display = getattr(self, field, None)
        return display(obj) if callable(display) else getattr(obj, field)
