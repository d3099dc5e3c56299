"""Payments and refunds, to be read: the bank and the sagas write them."""

from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from payments.models import Payment, Refund
from sagas.admin import ReadOnly


class RefundInline(ReadOnly, TabularInline[Refund, Payment]):
    model = Refund
    fields = ("id", "amount_minor", "currency", "status", "bank_refund_id", "created_at")
    readonly_fields = fields
    extra = 0


@admin.register(Payment)
class PaymentAdmin(ReadOnly, ModelAdmin[Payment]):
    list_display = ("id", "order_id", "status", "amount_minor", "currency", "intent_id")
    list_filter = ("status",)
    search_fields = ("=id", "=order_id", "=intent_id")
    ordering = ("-created_at",)
    show_full_result_count = False
    inlines = (RefundInline,)
