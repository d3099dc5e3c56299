"""Orders at the desk: where each stands, for how long, and its whole story; nothing to edit."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from unfold.admin import ModelAdmin, TabularInline

from orders.models import Order, OrderLine, OrderTransition
from orders.reasons import words
from orders.timeline import full_story
from sagas.admin import ReadOnly
from sagas.history import flagged_runs, frozen_runs
from sagas.services import thaw


class HasRun(admin.SimpleListFilter):
    """Narrows the list to orders that have, or have not, one of certain runs."""

    runs: Callable[[], QuerySet[Any]]

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, orders: QuerySet[Order]) -> QuerySet[Order]:  # noqa: ARG002 - Django's signature
        if self.value() is None:
            return orders
        has_one = Exists(type(self).runs().filter(subject_id=OuterRef("pk")))
        return orders.filter(has_one if self.value() == "yes" else ~has_one)


class NeedsAttention(HasRun):
    title = "needs attention"
    parameter_name = "needs_attention"
    runs = staticmethod(flagged_runs)


class IsFrozen(HasRun):
    title = "frozen"
    parameter_name = "is_frozen"
    runs = staticmethod(frozen_runs)


class OrderLineInline(ReadOnly, TabularInline[OrderLine, Order]):
    model = OrderLine
    fields = ("position", "sku", "name", "quantity", "unit_price_minor")
    readonly_fields = fields
    extra = 0


class OrderTransitionInline(ReadOnly, TabularInline[OrderTransition, Order]):
    model = OrderTransition
    fields = ("sequence", "source", "target", "cause", "actor", "at")
    readonly_fields = fields
    extra = 0


@admin.register(Order)
class OrderAdmin(ReadOnly, ModelAdmin[Order]):
    list_display = ("id", "status", "age", "needs_attention", "total", "customer", "reason")
    list_filter = ("status", NeedsAttention, IsFrozen, "reason", "created_at")
    list_select_related = ("customer",)
    search_fields = ("=id", "customer__username", "lines__sku")
    ordering = ("-created_at",)
    show_full_result_count = False
    inlines = (OrderLineInline, OrderTransitionInline)
    actions = ("thaw",)
    fields = (
        "id",
        "customer",
        "status",
        "needs_attention",
        "attention_reason",
        "age",
        "total",
        "payment_method",
        "reason_in_words",
        "story",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        flagged = flagged_runs().filter(subject_id=OuterRef("pk"))
        return super().get_queryset(request).annotate(needs_attention=Exists(flagged))

    @admin.display(boolean=True, description="needs attention", ordering="needs_attention")
    def needs_attention(self, order: Order) -> bool:
        return bool(getattr(order, "needs_attention", False))

    @admin.display(description="why")
    def attention_reason(self, order: Order) -> str:
        flagged = flagged_runs().filter(subject_id=order.pk)
        return "; ".join(flagged.values_list("attention_reason", flat=True))

    def has_thaw_permission(self, request: HttpRequest) -> bool:
        """Whoever may change orders may let frozen ones go on; nobody edits one."""
        user = request.user
        return isinstance(user, User) and user.has_perm("orders.change_order")

    @admin.action(description="Thaw: let frozen orders go on", permissions=["thaw"])
    def thaw(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        thawed = [each for each in orders if thaw(each.pk, request.user.get_username())]
        for order in thawed:
            self.log_change(request, order, "thawed")
        self.message_user(request, f"{len(thawed)} orders go on.", messages.SUCCESS)

    @admin.display(description="age", ordering="-created_at")
    def age(self, order: Order) -> str:
        return timesince(order.created_at, timezone.now())

    @admin.display(description="total", ordering="total_minor")
    def total(self, order: Order) -> str:
        return f"{order.total_minor} {order.currency} (minor units)"

    @admin.display(description="reason")
    def reason_in_words(self, order: Order) -> str:
        return words(order)

    @admin.display(description="everything that happened")
    def story(self, order: Order) -> SafeString:
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{} {}</td></tr>",
            (
                (each.at.isoformat(), each.kind, each.what, each.detail, each.for_staff)
                for each in full_story(order)
            ),
        )
        return format_html("<table><tbody>{}</tbody></table>", rows)
