"""Which operations a PaymentIntent allows in which status, through the official library."""

from collections.abc import Callable

import pytest
import stripe  # noqa: TID251 - the contract under test

from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import RawApi

WEEK = 7 * 24 * 3600


def new(client: stripe.StripeClient, capture_method: str = "manual") -> stripe.PaymentIntent:
    return client.v1.payment_intents.create(
        {
            "amount": 1000,
            "currency": "usd",
            "capture_method": capture_method,
            "payment_method": "pm_card_visa",
            "allowed_payment_method_types": ["card"],
            "metadata": {"order_id": "42"},
        }
    )


def authorized(client: stripe.StripeClient) -> stripe.PaymentIntent:
    return client.v1.payment_intents.confirm(new(client).id)


def captured(client: stripe.StripeClient) -> stripe.PaymentIntent:
    return client.v1.payment_intents.capture(authorized(client).id)


def canceled(client: stripe.StripeClient) -> stripe.PaymentIntent:
    return client.v1.payment_intents.cancel(new(client).id)


def declined(client: stripe.StripeClient) -> stripe.PaymentIntent:
    intent = new(client)
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_chargeDeclined"})
    return client.v1.payment_intents.retrieve(intent.id)


def charges_of(server: SandboxServer, intent: stripe.PaymentIntent) -> list[dict[str, object]]:
    return [
        charge for charge in server.ledger()["charges"] if charge["payment_intent"] == intent.id
    ]


def test_a_new_intent_holds_nothing(client: stripe.StripeClient, server: SandboxServer) -> None:
    intent = new(client)

    assert intent.status == "requires_confirmation"
    assert (intent.amount, intent.amount_capturable, intent.amount_received) == (1000, 0, 0)
    assert intent.currency == "usd"
    assert intent.metadata["order_id"] == "42"
    assert intent.latest_charge is None
    assert charges_of(server, intent) == []


def test_an_intent_without_a_payment_method_requires_one(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 50, "currency": "JPY"})

    assert intent.status == "requires_payment_method"
    assert intent.currency == "jpy"
    with pytest.raises(stripe.InvalidRequestError) as rejection:
        client.v1.payment_intents.confirm(intent.id)
    assert rejection.value.code == "payment_intent_unexpected_state"


def test_manual_capture_only_authorizes_at_confirmation(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.confirm(new(client).id, {"expand": ["latest_charge"]})

    assert intent.status == "requires_capture"
    assert (intent.amount_capturable, intent.amount_received) == (1000, 0)
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert (charge.status, charge.paid, charge.captured) == ("succeeded", True, False)
    assert (charge.amount, charge.amount_captured) == (1000, 0)
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.capture_before == charge.created + WEEK


@pytest.mark.parametrize("capture_method", ["automatic", "automatic_async"])
def test_automatic_capture_captures_at_confirmation(
    client: stripe.StripeClient, capture_method: str
) -> None:
    intent = client.v1.payment_intents.confirm(new(client, capture_method).id)

    assert intent.status == "succeeded"
    assert (intent.amount_capturable, intent.amount_received) == (0, 1000)
    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert (charge.captured, charge.amount_captured, charge.refunded) == (True, 1000, False)
    assert charge.payment_intent == intent.id


def test_an_intent_can_be_confirmed_at_creation(
    client: stripe.StripeClient, server: SandboxServer
) -> None:
    intent = client.v1.payment_intents.create(
        {"amount": 70, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    )

    assert (intent.status, intent.amount_received) == ("succeeded", 70)
    assert len(charges_of(server, intent)) == 1


def test_a_capture_captures_the_whole_authorization(client: stripe.StripeClient) -> None:
    intent = captured(client)

    assert intent.status == "succeeded"
    assert (intent.amount_capturable, intent.amount_received) == (0, 1000)


def test_a_smaller_capture_releases_the_rest(client: stripe.StripeClient) -> None:
    held = authorized(client)

    intent = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 700})

    assert intent.status == "succeeded"
    assert (intent.amount, intent.amount_capturable, intent.amount_received) == (1000, 0, 700)
    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert (charge.amount, charge.amount_captured, charge.captured) == (1000, 700, True)


def test_a_capture_above_the_authorization_is_rejected(client: stripe.StripeClient) -> None:
    held = authorized(client)

    with pytest.raises(stripe.InvalidRequestError) as rejection:
        client.v1.payment_intents.capture(held.id, {"amount_to_capture": 1001})

    assert rejection.value.code == "amount_too_large"
    assert client.v1.payment_intents.retrieve(held.id).status == "requires_capture"


def test_multicapture_is_rejected(client: stripe.StripeClient) -> None:
    held = authorized(client)

    with pytest.raises(stripe.InvalidRequestError) as rejection:
        client.v1.payment_intents.capture(
            held.id, {"amount_to_capture": 100, "final_capture": False}
        )

    assert rejection.value.param == "final_capture"
    assert client.v1.payment_intents.retrieve(held.id).amount_capturable == 1000


def test_a_cancel_releases_the_authorization(client: stripe.StripeClient) -> None:
    held = authorized(client)

    intent = client.v1.payment_intents.cancel(held.id, {"cancellation_reason": "abandoned"})

    assert intent.status == "canceled"
    assert (intent.amount_capturable, intent.amount_received) == (0, 0)
    assert intent.cancellation_reason == "abandoned"
    assert intent.canceled_at is not None


@pytest.mark.parametrize("start", [new, authorized, declined])
def test_an_uncaptured_intent_can_be_canceled(
    client: stripe.StripeClient, start: Callable[[stripe.StripeClient], stripe.PaymentIntent]
) -> None:
    assert client.v1.payment_intents.cancel(start(client).id).status == "canceled"


REFUSED: list[tuple[Callable[[stripe.StripeClient], stripe.PaymentIntent], str]] = [
    (new, "capture"),
    (declined, "capture"),
    (authorized, "confirm"),
    (captured, "confirm"),
    (captured, "capture"),
    (captured, "cancel"),
    (canceled, "confirm"),
    (canceled, "capture"),
    (canceled, "cancel"),
    (canceled, "update"),
]


@pytest.mark.parametrize(
    ("start", "verb"), REFUSED, ids=[f"{verb}-{start.__name__}" for start, verb in REFUSED]
)
def test_an_intent_rejects_operations_that_its_status_does_not_allow(
    client: stripe.StripeClient,
    server: SandboxServer,
    start: Callable[[stripe.StripeClient], stripe.PaymentIntent],
    verb: str,
) -> None:
    before = start(client)
    charges = charges_of(server, before)

    with pytest.raises(stripe.InvalidRequestError) as rejection:
        getattr(client.v1.payment_intents, verb)(before.id)

    error = rejection.value.error
    assert rejection.value.http_status == 400
    assert rejection.value.code == "payment_intent_unexpected_state"
    assert error is not None
    assert error.payment_intent is not None
    assert (error.payment_intent.id, error.payment_intent.status) == (before.id, before.status)
    assert client.v1.payment_intents.retrieve(before.id).status == before.status
    assert charges_of(server, before) == charges


def test_another_card_can_pay_after_a_decline(
    client: stripe.StripeClient, server: SandboxServer
) -> None:
    intent = declined(client)
    assert intent.status == "requires_payment_method"
    assert intent.payment_method is None
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.charge == intent.latest_charge

    paid = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_amex"})

    assert (paid.status, paid.payment_method) == ("requires_capture", "pm_card_amex")
    assert paid.last_payment_error is None
    assert [charge["status"] for charge in charges_of(server, paid)] == ["failed", "succeeded"]


def test_a_customer_who_must_authenticate_is_not_charged(
    client: stripe.StripeClient, server: SandboxServer
) -> None:
    intent = client.v1.payment_intents.confirm(
        new(client).id, {"payment_method": "pm_card_authenticationRequired"}
    )

    assert intent.status == "requires_action"
    assert intent.next_action is not None
    assert intent.next_action.type == "use_stripe_sdk"
    assert (intent.amount_capturable, charges_of(server, intent)) == (0, [])
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"


def test_error_on_requires_action_declines_without_a_charge(
    client: stripe.StripeClient, server: SandboxServer
) -> None:
    intent = new(client)

    with pytest.raises(stripe.CardError) as decline:
        client.v1.payment_intents.confirm(
            intent.id,
            {
                "payment_method": "pm_card_authenticationRequired",
                "error_on_requires_action": True,
            },
        )

    assert decline.value.code == "authentication_required"
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"
    assert charges_of(server, intent) == []


def test_an_absent_customer_is_declined_by_the_issuer(client: stripe.StripeClient) -> None:
    intent = new(client)

    with pytest.raises(stripe.CardError) as decline:
        client.v1.payment_intents.confirm(
            intent.id, {"payment_method": "pm_card_authenticationRequired", "off_session": True}
        )

    assert decline.value.code == "authentication_required"
    assert decline.value.error is not None
    charge = client.v1.charges.retrieve(str(decline.value.error.charge))
    assert charge.status == "failed"


def test_an_update_changes_the_description_and_merges_metadata(client: stripe.StripeClient) -> None:
    intent = captured(client)

    updated = client.v1.payment_intents.update(
        intent.id, {"description": "Two mugs", "metadata": {"order_id": "", "parcel": "7"}}
    )

    assert updated.description == "Two mugs"
    assert updated.metadata.to_dict() == {"parcel": "7"}
    assert updated.status == "succeeded"


def test_an_unknown_intent_is_not_found(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as rejection:
        client.v1.payment_intents.retrieve("pi_unknown")

    assert (rejection.value.http_status, rejection.value.code) == (404, "resource_missing")


def test_an_authorization_lapses_after_a_week(own_server: SandboxServer, own_api: RawApi) -> None:
    lapsing, paid = own_api.authorized(), own_api.authorized()
    own_api.post(f"payment_intents/{paid}/capture")
    own_server.advance(WEEK - 60)
    fresh = own_api.authorized()
    assert own_api.get(f"payment_intents/{lapsing}").body["status"] == "requires_capture"

    own_server.advance(120)

    intent = own_api.get(f"payment_intents/{lapsing}").body
    assert (intent["status"], intent["cancellation_reason"]) == ("canceled", "automatic")
    assert (intent["amount_capturable"], intent["amount_received"]) == (0, 0)
    assert own_api.post(f"payment_intents/{lapsing}/capture").status == 400
    assert own_api.get(f"payment_intents/{fresh}").body["status"] == "requires_capture"
    assert own_api.get(f"payment_intents/{paid}").body["status"] == "succeeded"
