"""What a customer needs to authenticate is on no page of the desk, and in no export."""

from typing import Final
from uuid import UUID

import pytest
from django.test import Client

from payments.models import Payment
from payments.services import customer_action
from sandbox.stripe_process import SandboxServer
from tests.support.desk_actions import ORDERS, page_of
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ORDERS as ORDERS_OF_THE_API
from tests.support.storefront_client import Storefront, cart

SECRET: Final = "pi_1_secret_canary7f3a"
PAYMENTS: Final = "/admin/payments/payment/"


@pytest.fixture
def to_authenticate(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> UUID:
    """An order whose payment is open, with an action and a secret for its customer."""
    sandbox_stripe.add_fault("payment_intents.confirm", "error_before", times=1)
    order_id = storefront.order(cart(("MUG", 1))).order_id
    messages.deliver_all()
    action = {"type": "redirect", "url": "https://issuer.example/canary9c1e"}
    Payment.objects.update(next_action=action, client_secret=SECRET)
    return order_id


def test_no_page_shows_what_the_customer_needs(
    desk: Client, storefront: Storefront, to_authenticate: UUID
) -> None:
    payment = Payment.objects.get()
    at_provider = str(payment.provider_payment_id)

    shown = {
        "order": page_of(desk, to_authenticate),
        "payments": desk.get(PAYMENTS).content.decode(),
        "payment": desk.get(f"{PAYMENTS}{payment.pk}/change/").content.decode(),
    }

    assert customer_action(to_authenticate) is not None
    assert [name for name, page in shown.items() if "canary" in page] == []
    assert [name for name, page in shown.items() if at_provider not in page] == []
    assert list(desk.get(PAYMENTS, {"q": SECRET}).context["cl"].result_list) == []


def test_no_export_and_no_other_answer_of_the_api_has_it(
    desk: Client, storefront: Storefront, to_authenticate: UUID
) -> None:
    exported = desk.post(f"{ORDERS}export/").getvalue().decode()
    answers = [
        str(storefront.get(f"{ORDERS_OF_THE_API}/{to_authenticate}").body),
        str(storefront.get(f"{ORDERS_OF_THE_API}/{to_authenticate}/timeline").body),
        exported,
    ]

    assert [answer for answer in answers if "canary" in answer] == []
    assert str(to_authenticate) in answers[0]
    assert str(to_authenticate) in answers[2]
