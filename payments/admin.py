"""Payments and refunds at the desk, read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from adminkit.admin import ReadOnlyMixin, RecordAdmin
from adminkit.cells import amount, code, order_link, state, timestamp
from adminkit.filters import newest_rows_filter
from adminkit.search import search_exact, search_ids, search_related
from payments.admin_queries import (
    ACTION_REQUIRED,
    DECLINED,
    dashboard_url,
    is_provider_id,
    provider_ids_hint,
    provider_label,
    shown_status,
)
from payments.models import Payment, Refund
from payments.states import PaymentStatus

STATES = [
    (PaymentStatus.PREPARED.value, f"prepared, {ACTION_REQUIRED} or {DECLINED}"),
    *((status.value, status.value) for status in PaymentStatus if status != PaymentStatus.PREPARED),
]
"""The stored states, by which the list is filtered."""


def payments_with_refund(provider_refund_id: str) -> QuerySet[Refund, Any] | None:
    found = Refund.objects.filter(provider_refund_id=provider_refund_id)
    return found.values_list("payment", flat=True) if is_provider_id(provider_refund_id) else None


class RefundInline(ReadOnlyMixin, TabularInline[Refund, Payment]):
    model = Refund
    verbose_name_plural = "refund"
    fields = ("requested", "amount_cell", "status_cell", "at_provider")
    readonly_fields = fields
    extra = 0

    @admin.display(description="asked for (UTC)")
    def requested(self, refund: Refund) -> SafeString | None:
        return timestamp(refund.created_at)

    @admin.display(description="amount")
    def amount_cell(self, refund: Refund) -> SafeString:
        return amount(refund.amount_minor, refund.currency)

    @admin.display(description="state")
    def status_cell(self, refund: Refund) -> SafeString:
        return state(refund.status or "asked")

    @admin.display(description="refund at the provider")
    def at_provider(self, refund: Refund) -> SafeString | None:
        return code(refund.provider_refund_id)


@admin.register(Payment)
class PaymentAdmin(RecordAdmin[Payment]):
    list_display = ("stored", "order", "status_cell", "amount_cell", "provider_id")
    list_filter = (newest_rows_filter("status", "state", STATES),)
    searches = (
        search_ids("pk", "order_id"),
        search_exact("provider_payment_id"),
        search_related("pk", payments_with_refund),
    )
    empty_text = "A payment is stored before its provider is called. No order has needed one yet."
    fields = (
        "order",
        "status_cell",
        "amount_cell",
        "provider_name",
        "provider_id",
        "method",
        *("stored", "authorized", "captured", "closing"),
        "payment_id",
    )
    readonly_fields = fields

    @property
    def search_help_text(self) -> str:  # type: ignore[override]  # the text depends on a setting
        return f"An order's or a payment's id or its beginning, or {provider_ids_hint()}"

    def get_inlines(self, request: HttpRequest, obj: Payment | None) -> Any:  # noqa: ARG002 - Django's signature
        return (RefundInline,) if obj and obj.refunds.exists() else ()

    @admin.display(description="stored (UTC)")
    def stored(self, payment: Payment) -> SafeString | None:
        return timestamp(payment.created_at)

    @admin.display(description="authorized (UTC)")
    def authorized(self, payment: Payment) -> SafeString | None:
        return timestamp(payment.authorized_at)

    @admin.display(description="captured (UTC)")
    def captured(self, payment: Payment) -> SafeString | None:
        return timestamp(payment.captured_at)

    @admin.display(description="closing since (UTC)")
    def closing(self, payment: Payment) -> SafeString | None:
        return timestamp(payment.closing_since)

    @admin.display(description="order")
    def order(self, payment: Payment) -> SafeString | None:
        return order_link(payment.order_id)

    @admin.display(description="state")
    def status_cell(self, payment: Payment) -> SafeString:
        return state(shown_status(payment), payment.decline_code)

    @admin.display(description="amount")
    def amount_cell(self, payment: Payment) -> SafeString:
        return amount(payment.amount_minor, payment.currency)

    @admin.display(description="provider")
    def provider_name(self, payment: Payment) -> str:
        return provider_label(payment.provider)

    @admin.display(description="payment at the provider")
    def provider_id(self, payment: Payment) -> SafeString | None:
        shown = code(payment.provider_payment_id)
        url = dashboard_url(payment.provider, payment.provider_payment_id)
        return format_html('<a class="desk-link" href="{}">{}</a>', url, shown) if url else shown

    @admin.display(description="our payment")
    def payment_id(self, payment: Payment) -> SafeString | None:
        return code(str(payment.pk))

    @admin.display(description="payment method")
    def method(self, payment: Payment) -> SafeString | None:
        return code(payment.payment_method)
