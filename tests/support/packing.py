"""A checkout that also waits for the signal ``packed``, before the payment is authorized."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django import forms

from orders.saga import CHECKOUT
from sagas.batch import WaitBatch
from sagas.definition import wait_step
from sagas.descriptions import RejectionText, StepText, WaitText
from sagas.signal_types import Signal, SignalContext
from sagas.signals import take_signals
from sagas.work import Reject
from tests.support.checkout_versions import placed_with

A_DAY: Final = timedelta(days=1)


class Packed(forms.Form):
    weight = forms.IntegerField(min_value=1, max_value=30)
    note = forms.CharField(required=False, max_length=20)
    ready_on = forms.DateField(required=False)
    is_fragile = forms.BooleanField(required=False)


def while_it_waits(context: SignalContext) -> bool:
    return context.waits_for == "await_packing"


PACKED: Final = Signal("packed", "The parcel is packed, and the order goes on.", Packed)
HURRY: Final = Signal(
    "hurry", "The customer is in a hurry.", allowed_when=while_it_waits, by_customer=True
)


@wait_step(
    queue="checkout",
    describe=StepText("packing", "Packing your order"),
    waits_for=WaitText("the warehouse", "the warehouse", "the order is cancelled"),
    deadline=A_DAY,
    overdue=Reject("not_packed"),
    rejections={"not_packed": RejectionText("Your order was not packed in time.")},
)
def await_packing(batch: WaitBatch) -> None:
    for subject_id, payload in take_signals(batch, PACKED.name).items():
        batch.proceed(subject_id, payload)


@contextmanager
def packing_checkout() -> Iterator[None]:
    """Have new orders wait for the signal ``packed`` after their stock is reserved."""
    first, *rest = CHECKOUT.steps
    with placed_with((first, await_packing, *rest), signals=(PACKED, HURRY)):
        yield
