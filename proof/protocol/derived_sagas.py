"""The sagas of the product, as the model searches them.

A new step needs no edit here, except one that moves stock or money. Only this module of the model
imports the product's sagas.
"""

from typing import Final

from orders.saga import CANCELLATION, CHECKOUT
from orders.steps import PAYMENT_PROVIDER
from proof.protocol.steps import CONFIRMS, FINISHES, RELEASES, RESERVES, Sagas

LOCAL_EFFECTS: Final = {
    "reserve_stock": RESERVES,
    "release_stock": RELEASES,
    "release_reserved_stock": RELEASES,
    "confirm_order": CONFIRMS,
    "finish_cancelling": FINISHES,
}
"""What local work does, by its name."""

PRODUCT: Final = Sagas(CHECKOUT, CANCELLATION, LOCAL_EFFECTS, PAYMENT_PROVIDER)
