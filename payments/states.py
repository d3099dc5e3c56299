"""The states of a payment in our database, and the transitions between them."""

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices


class PaymentStatus(TextChoices):
    PREPARED = "prepared"  # stored; the provider's result is not known yet
    AUTHORIZED = "authorized"  # the money is held for us
    CAPTURED = "captured"  # the money has been taken
    VOIDED = "voided"  # final: cancelled at the provider, or never confirmed there
    REFUNDED = "refunded"  # final: taken, and returned in full


SOURCES: Final[Mapping[PaymentStatus, tuple[PaymentStatus, ...]]] = {
    PaymentStatus.AUTHORIZED: (PaymentStatus.PREPARED,),
    PaymentStatus.CAPTURED: (PaymentStatus.AUTHORIZED,),
    PaymentStatus.VOIDED: (PaymentStatus.PREPARED, PaymentStatus.AUTHORIZED),
    # Straight from prepared or authorized too: the provider may have taken money before we knew.
    PaymentStatus.REFUNDED: (
        PaymentStatus.PREPARED,
        PaymentStatus.AUTHORIZED,
        PaymentStatus.CAPTURED,
    ),
}
"""The states from which each state can be reached. ``payments.services`` refuses every other transition."""
