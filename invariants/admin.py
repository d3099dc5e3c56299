"""The admin pages of breaks: staff read them and resolve them with a note. None is deleted."""

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
from invariants.break_store import INVARIANTS_BY_CODE, order_id_of, resolve
from invariants.invariant import Kind
from invariants.models import ReconciliationBreak
from orders.models import Order


def orders_matching(term: str) -> QuerySet[Order, Any] | None:
    condition = id_matches("pk", term)
    return (
        None if condition is None else Order.objects.filter(condition).values_list("pk", flat=True)
    )


class ResolutionForm(forms.ModelForm[ReconciliationBreak]):
    resolution = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="What was wrong, and what was done. This closes the break. If a check finds it again, a new one opens.",
    )

    class Meta:
        model = ReconciliationBreak
        fields = ("resolution",)


class IsOpen(ChoiceFilter):
    """Open breaks have a partial index; see the model."""

    title = "state"
    parameter_name = "state"
    options = (("open", "open"), ("resolved", "resolved"))

    def apply(self, rows: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        return rows.filter(resolved_at__isnull=chosen == "open")


class OfInvariant(NewestRowsFilter):
    title = f"invariant, among the newest {NEWEST_ROWS:,}"
    parameter_name = column = "code"
    options = tuple(
        (invariant_code, invariant_code) for invariant_code in sorted(INVARIANTS_BY_CODE)
    )


@admin.register(ReconciliationBreak)
class ReconciliationBreakAdmin(PagedAdmin[ReconciliationBreak]):
    form = ResolutionForm
    list_display = ("first", "status", "code", "order", "found", "last", "times_seen")
    list_filter = (
        IsOpen,
        newest_rows_filter("kind", "kind", [(kind, kind) for kind in Kind.values]),
        OfInvariant,
    )
    searches = (search_exact("subject"), search_related("subject", orders_matching))
    search_help_text = "An order's id or its beginning, or the whole of another subject"
    empty_text = "Each minute a check tests what must always be true of orders, payments and stock. It has never found a break."
    readonly_fields = (
        *("status", "code", "sentence", "kind", "order", "detail"),
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
        """A resolved break is read-only."""
        return super().has_change_permission(request, obj) and (obj is None or obj.is_open)

    def save_model(self, request: HttpRequest, obj: ReconciliationBreak, *_: Any) -> None:
        resolve(obj.pk, obj.resolution, request.user.get_username())

    @admin.display(description="what is always true")
    def sentence(self, found_break: ReconciliationBreak) -> str:
        return (
            INVARIANTS_BY_CODE[found_break.code].sentence
            if found_break.code in INVARIANTS_BY_CODE
            else ""
        )

    @admin.display(description="about")
    def order(self, found_break: ReconciliationBreak) -> SafeString:
        """The subject, with a link if it is an order."""
        is_order = order_id_of(found_break.subject) is not None
        return (
            order_link(found_break.subject) if is_order else code(found_break.subject)
        ) or SafeString()

    @admin.display(description="state")
    def status(self, found_break: ReconciliationBreak) -> SafeString:
        return state("open" if found_break.is_open else "resolved")

    @admin.display(description="what was found")
    def found(self, found_break: ReconciliationBreak) -> SafeString:
        return excerpt(found_break.detail)

    @admin.display(description="first seen (UTC)")
    def first(self, found_break: ReconciliationBreak) -> SafeString | None:
        return timestamp(found_break.first_seen)

    @admin.display(description="last seen (UTC)")
    def last(self, found_break: ReconciliationBreak) -> SafeString | None:
        return timestamp(found_break.last_seen)

    @admin.display(description="paused the order (UTC)")
    def paused(self, found_break: ReconciliationBreak) -> SafeString | None:
        return timestamp(found_break.order_paused_at)

    @admin.display(description="resolved (UTC)")
    def resolved(self, found_break: ReconciliationBreak) -> SafeString | None:
        return timestamp(found_break.resolved_at)
