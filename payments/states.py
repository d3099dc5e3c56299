"""Where a payment stands with us, and where it may go from there."""

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices


class PaymentStatus(TextChoices):
    INTENDED = "intended"  # written down; what the bank made of it is not settled yet
    AUTHORIZED = "authorized"  # the customer's bank has set the money aside
    CAPTURED = "captured"  # the money has been taken
    VOIDED = "voided"  # final: cancelled at the bank, nothing held and nothing taken
    REFUNDED = "refunded"  # final: taken, and gone back in full


SOURCES: Final[Mapping[PaymentStatus, tuple[PaymentStatus, ...]]] = {
    PaymentStatus.AUTHORIZED: (PaymentStatus.INTENDED,),
    PaymentStatus.CAPTURED: (PaymentStatus.AUTHORIZED,),
    PaymentStatus.VOIDED: (PaymentStatus.INTENDED, PaymentStatus.AUTHORIZED),
    # Straight from intended or authorized too: the bank may have taken money before we knew.
    PaymentStatus.REFUNDED: (
        PaymentStatus.INTENDED,
        PaymentStatus.AUTHORIZED,
        PaymentStatus.CAPTURED,
    ),
}
"""From which states each state may be reached. ``payments.services`` refuses every other move."""
