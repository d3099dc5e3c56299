"""The test payment methods: which ones pay, which ones decline, and with which codes."""

import pytest
import stripe  # noqa: TID251 - the contract under test

from sandbox.stripe_api.cards import TEST_CARDS
from sandbox.stripe_process import SandboxServer

DECLINES = [
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    ("pm_card_chargeDeclinedFraudulent", "card_declined", "fraudulent"),
    ("pm_card_radarBlock", "card_declined", "fraudulent"),
    ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
]
BRANDS = [
    ("pm_card_visa", "visa"),
    ("pm_card_visa_debit", "visa"),
    ("pm_card_mastercard", "mastercard"),
    ("pm_card_amex", "amex"),
    ("pm_card_discover", "discover"),
    ("pm_card_diners", "diners"),
    ("pm_card_jcb", "jcb"),
    ("pm_card_unionpay", "unionpay"),
]


def paid_with(client: stripe.StripeClient, payment_method: str) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create(
        {
            "amount": 1000,
            "currency": "usd",
            "payment_method": payment_method,
            "confirm": True,
            "expand": ["latest_charge"],
        }
    )


@pytest.mark.parametrize(("payment_method", "code", "decline_code"), DECLINES)
def test_a_declining_card_is_not_charged_and_returns_its_decline_code(
    client: stripe.StripeClient, payment_method: str, code: str, decline_code: str | None
) -> None:
    with pytest.raises(stripe.CardError) as decline:
        paid_with(client, payment_method)

    error = decline.value.error
    assert error is not None
    assert decline.value.http_status == 402
    assert (error.type, error.code, error.decline_code) == ("card_error", code, decline_code)
    assert error.message
    assert error.payment_intent is not None
    intent = client.v1.payment_intents.retrieve(error.payment_intent.id)
    assert (intent.status, intent.amount_received) == ("requires_payment_method", 0)
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == code
    charge = client.v1.charges.retrieve(str(error.charge))
    assert (charge.status, charge.paid, charge.captured) == ("failed", False, False)
    assert (charge.failure_code, charge.amount_captured) == (code, 0)
    assert charge.outcome is not None
    assert charge.outcome.type == "issuer_declined"


@pytest.mark.parametrize(("payment_method", "brand"), BRANDS)
def test_a_good_card_is_charged(
    client: stripe.StripeClient, payment_method: str, brand: str
) -> None:
    intent = paid_with(client, payment_method)

    assert (intent.status, intent.amount_received) == ("succeeded", 1000)
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.brand == brand
    assert charge.outcome is not None
    assert charge.outcome.type == "authorized"


def test_every_decline_of_the_table_is_tested() -> None:
    declines = {card.decline for card in TEST_CARDS.values() if card.decline is not None}

    assert {(decline.code, decline.decline_code) for decline in declines} == {
        (code, decline_code) for _, code, decline_code in DECLINES
    }


def test_an_unknown_payment_method_is_rejected_and_no_intent_is_created(
    client: stripe.StripeClient, server: SandboxServer
) -> None:
    before = len(server.ledger()["payment_intents"])

    with pytest.raises(stripe.InvalidRequestError) as rejection:
        paid_with(client, "pm_card_unheard_of")

    assert (rejection.value.http_status, rejection.value.code) == (400, "resource_missing")
    assert rejection.value.param == "payment_method"
    assert len(server.ledger()["payment_intents"]) == before
