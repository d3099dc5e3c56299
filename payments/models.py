"""Payments and refunds as we know them; the bank's own account is asked through the gateway."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from payments.provider_types import RefundStatus
from payments.states import PaymentStatus
from sagas.identifiers import new_id


class Payment(models.Model):
    """One PaymentIntent for one order, written down before the bank hears of it.

    ``params`` and ``api_version`` are kept exactly as first sent: under the same idempotency key
    Stripe refuses anything else, also after a deploy. Amounts are in minor units.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order_id = models.UUIDField()
    correlation_id = models.UUIDField()
    status = models.CharField(max_length=16, choices=PaymentStatus, default=PaymentStatus.INTENDED)
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    params = models.JSONField()
    api_version = models.CharField(max_length=32)
    # The bank's id for it. Stored once, and never for a payment that is closed.
    intent_id = models.CharField(max_length=255, null=True, blank=True, unique=True)
    # Raised only after the bank repeated a saved error and a look showed that nothing had moved.
    key_generation = models.PositiveSmallIntegerField(default=1)
    replayed_error_count = models.PositiveSmallIntegerField(default=0)
    # Once set, this payment is never confirmed any more.
    closed_at = models.DateTimeField(null=True, blank=True)
    decline_code = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    authorized_at = models.DateTimeField(null=True, blank=True)
    captured_at = models.DateTimeField(null=True, blank=True)

    # The database's clock, where a query asks for it.
    db_now: datetime

    class Meta:
        constraints: ClassVar = [
            # A second payment for an order only after the first is closed.
            models.UniqueConstraint(
                fields=["order_id"],
                condition=Q(closed_at__isnull=True),
                name="payments_one_open_payment_per_order",
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="payments_amount_is_positive"
            ),
            models.CheckConstraint(
                condition=Q(status__in=PaymentStatus.values), name="payments_status_known"
            ),
        ]
        indexes: ClassVar = [
            # Read by closing, and by whoever shows an order.
            models.Index(fields=["order_id"], name="payments_by_order"),
        ]

    def __str__(self) -> str:
        return f"{self.intent_id or self.pk}: {self.status}"

    def idempotency_key(self, operation: str) -> str:
        """The same for every attempt at ``operation``, so that the bank recognises it."""
        return f"{self.pk}-{operation}-{self.key_generation}"


class Refund(models.Model):
    """Money on its way back, written down before the bank hears of it. Minor units."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    # Empty until the bank has answered; its words from then on.
    status = models.CharField(
        max_length=16, choices=[(each.value, each.value) for each in RefundStatus], blank=True
    )
    provider_refund_id = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            # Only whole refunds so far: one for each payment.
            models.UniqueConstraint(fields=["payment"], name="payments_one_refund_per_payment"),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="payments_refund_is_positive"
            ),
        ]
        indexes: ClassVar = [
            # Read by whoever has the bank's id and looks for the order.
            models.Index(fields=["provider_refund_id"], name="payments_refunds_by_bank_id"),
        ]

    def __str__(self) -> str:
        return f"refund {self.pk} of {self.payment_id}: {self.status or 'intended'}"
