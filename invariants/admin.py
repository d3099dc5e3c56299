"""Breaks at the desk: to be read, and to be resolved with a note; nothing is ever deleted."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from adminkit.admin import PagedAdmin
from adminkit.cells import code, excerpt, order_link, state, timestamp
from adminkit.filters import NEWEST_ROWS, ChoiceFilter, NewestRowsFilter, newest_rows_filter
from adminkit.search import id_matches, search_exact, search_related
from invariants.break_store import BY_CODE, order_named, resolve
from invariants.invariant import Kind
from invariants.models import ReconciliationBreak
from orders.models import Order


def orders_like(term: str) -> QuerySet[Order, Any] | None:
    of_it = id_matches("pk", term)
    return None if of_it is None else Order.objects.filter(of_it).values_list("pk", flat=True)


class ResolutionForm(forms.ModelForm[ReconciliationBreak]):
    resolution = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="What it was, and what was done. The break is closed; seen again, it is a new one.",
    )

    class Meta:
        model = ReconciliationBreak
        fields = ("resolution",)


class IsOpen(ChoiceFilter):
    """The open ones are in an index, which keeps each of them once."""

    title = "state"
    parameter_name = "state"
    options = (("open", "open"), ("resolved", "resolved"))

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        return rows.filter(resolved_at__isnull=chosen == "open")


class OfInvariant(NewestRowsFilter):
    title = f"invariant, among the newest {NEWEST_ROWS:,}"
    parameter_name = column = "code"
    options = tuple((each, each) for each in sorted(BY_CODE))


@admin.register(ReconciliationBreak)
class ReconciliationBreakAdmin(PagedAdmin[ReconciliationBreak]):
    form = ResolutionForm
    list_display = ("first", "stands", "code", "order", "found", "last", "times_seen")
    list_filter = (
        IsOpen,
        newest_rows_filter("kind", "kind", [(each, each) for each in Kind.values]),
        OfInvariant,
    )
    searches = (search_exact("subject"), search_related("subject", orders_like))
    search_help_text = "An order's id or how it begins, or what else the break is about, whole"
    empty_text = "Each minute a check asks what must always be true of orders, payments and stock. Nothing was ever found broken."
    readonly_fields = (
        *("stands", "code", "sentence", "kind", "order", "detail"),
        *("first", "last", "times_seen", "paused", "resolved", "resolved_by"),
    )
    fields = (*readonly_fields, "resolution")

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: ReconciliationBreak | None = None
    ) -> bool:
        """What is resolved stays as it was resolved."""
        return super().has_change_permission(request, obj) and (obj is None or obj.is_open)

    def save_model(self, request: HttpRequest, obj: ReconciliationBreak, *_: Any) -> None:
        resolve(obj.pk, obj.resolution, request.user.get_username())

    @admin.display(description="what is always true")
    def sentence(self, each: ReconciliationBreak) -> str:
        return BY_CODE[each.code].sentence if each.code in BY_CODE else ""

    @admin.display(description="about")
    def order(self, each: ReconciliationBreak) -> SafeString:
        """The subject, with a way to its order."""
        is_order = order_named(each.subject) is not None
        return (order_link(each.subject) if is_order else code(each.subject)) or SafeString()

    @admin.display(description="state")
    def stands(self, each: ReconciliationBreak) -> SafeString:
        return state("open" if each.is_open else "resolved")

    @admin.display(description="what was found")
    def found(self, each: ReconciliationBreak) -> SafeString:
        return excerpt(each.detail)

    @admin.display(description="first seen (UTC)")
    def first(self, each: ReconciliationBreak) -> SafeString | None:
        return timestamp(each.first_seen)

    @admin.display(description="last seen (UTC)")
    def last(self, each: ReconciliationBreak) -> SafeString | None:
        return timestamp(each.last_seen)

    @admin.display(description="paused the order (UTC)")
    def paused(self, each: ReconciliationBreak) -> SafeString | None:
        return timestamp(each.order_paused_at)

    @admin.display(description="resolved (UTC)")
    def resolved(self, each: ReconciliationBreak) -> SafeString | None:
        return timestamp(each.resolved_at)
