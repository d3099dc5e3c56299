"""Payments and refunds in our database. ``payments.providers`` reads them at the provider."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from clock.now import Now
from payments.provider_types import RefundStatus
from payments.states import PaymentStatus
from sagas.identifiers import new_id


class Payment(models.Model):
    """One payment for one order, stored before its provider is called. Amounts in minor units.

    ``params`` and ``api_version`` are kept exactly as first sent: under the same idempotency key
    a provider refuses anything else, also after a deploy.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order_id = models.UUIDField()
    correlation_id = models.UUIDField()
    status = models.CharField(max_length=16, choices=PaymentStatus, default=PaymentStatus.PREPARED)
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    # A name in the registry of providers.
    provider = models.CharField(max_length=64)
    params = models.JSONField()
    api_version = models.CharField(max_length=32)
    # The provider's id of this payment. Stored once, and never after closing_since was set.
    provider_payment_id = models.CharField(  # noqa: DJ001 - unique where it is known
        max_length=255, null=True, blank=True
    )
    # A part of the idempotency keys. Increased after the provider repeated a saved error.
    key_version = models.PositiveSmallIntegerField(default=1)
    replayed_error_count = models.PositiveSmallIntegerField(default=0)
    # Since when it is being cancelled or refunded. Once set, no provider id is stored any more.
    closing_since = models.DateTimeField(null=True, blank=True)
    decline_code = models.CharField(max_length=64, blank=True)
    # What the storefront needs while the customer has to authenticate: a CustomerAction, and a secret
    # that nothing else may show, log or export.
    next_action = models.JSONField(null=True, blank=True)
    client_secret = models.CharField(max_length=255, blank=True, db_default="")
    created_at = models.DateTimeField(db_default=Now())
    authorized_at = models.DateTimeField(null=True, blank=True)
    captured_at = models.DateTimeField(null=True, blank=True)

    # The database's clock; set by queries that ask for it.
    db_now: datetime

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["provider_payment_id", "provider"],
                name="payments_one_payment_per_provider_payment",
            ),
            # A second payment for an order only after the first is marked for closing.
            models.UniqueConstraint(
                fields=["order_id"],
                condition=Q(closing_since__isnull=True),
                name="payments_one_open_payment_per_order",
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="payments_amount_is_positive"
            ),
            models.CheckConstraint(
                condition=Q(status__in=PaymentStatus.values), name="payments_status_known"
            ),
            models.CheckConstraint(
                condition=Q(next_action__isnull=True, client_secret="")
                | Q(status=PaymentStatus.PREPARED, closing_since__isnull=True),
                name="payments_action_only_while_open",
            ),
        ]
        indexes: ClassVar = [
            # Read by closing, and by the pages of an order.
            models.Index(fields=["order_id"], name="payments_by_order"),
        ]

    def __str__(self) -> str:
        return f"{self.provider_payment_id or self.pk}: {self.status}"

    @property
    def payment_method(self) -> str:
        """The reference of the payment method, as the storefront sent it."""
        return str(self.params.get("payment_method", ""))

    @property
    def metadata(self) -> dict[str, str]:
        """What marks this payment and its refunds at the provider as ours."""
        metadata: dict[str, str] = self.params["metadata"]
        return metadata

    def idempotency_key(self, operation: str) -> str:
        """Return the key of ``operation``: the same for each attempt, so that it acts once."""
        return f"{self.pk}-{operation}-{self.key_version}"


class Refund(models.Model):
    """A refund of a payment, stored before the provider is called. Amounts in minor units."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    # Empty until the provider has answered.
    status = models.CharField(
        max_length=16, choices=[(status.value, status.value) for status in RefundStatus], blank=True
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
            # Read when staff search for an order by the provider's id.
            models.Index(fields=["provider_refund_id"], name="payments_refunds_at_provider"),
        ]

    def __str__(self) -> str:
        return f"refund {self.pk} of {self.payment_id}: {self.status or 'prepared'}"
