"""Refunds: never more than was captured; some settle or fail later."""

import pytest
import stripe  # noqa: TID251 - the contract under test

from sandbox.service_process import ServiceFailed
from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import RawApi

LATER = 11 * 60


def captured(client: stripe.StripeClient, amount: int = 1000) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create(
        {"amount": amount, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )


def test_a_refund_without_an_amount_refunds_everything(client: stripe.StripeClient) -> None:
    intent = captured(client)

    refund = client.v1.refunds.create(
        {
            "payment_intent": intent.id,
            "reason": "requested_by_customer",
            "metadata": {"refund_id": "7"},
        }
    )

    assert (refund.status, refund.amount, refund.currency) == ("succeeded", 1000, "usd")
    assert (refund.payment_intent, refund.charge) == (intent.id, intent.latest_charge)
    assert refund.reason == "requested_by_customer"
    assert refund.metadata is not None
    assert refund.metadata["refund_id"] == "7"
    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (1000, True)
    assert client.v1.refunds.retrieve(refund.id).to_dict() == refund.to_dict()
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_charge_can_be_refunded_by_its_own_id(client: stripe.StripeClient) -> None:
    intent = captured(client)

    refund = client.v1.refunds.create({"charge": str(intent.latest_charge), "amount": 1})

    assert (refund.payment_intent, refund.amount) == (intent.id, 1)


def test_partial_refunds_cannot_exceed_the_capture(client: stripe.StripeClient) -> None:
    intent = captured(client)
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 600})

    with pytest.raises(stripe.InvalidRequestError) as too_much:
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 401})
    rest = client.v1.refunds.create({"payment_intent": intent.id})
    with pytest.raises(stripe.InvalidRequestError) as nothing_left:
        client.v1.refunds.create({"payment_intent": intent.id})

    assert (too_much.value.param, too_much.value.code) == ("amount", None)
    assert "greater than unrefunded amount" in str(too_much.value)
    assert rest.amount == 400
    assert nothing_left.value.code == "charge_already_refunded"
    amounts = [refund.amount for refund in client.v1.refunds.list({"payment_intent": intent.id})]
    assert amounts == [400, 600]


def test_only_the_captured_amount_can_be_refunded(api: RawApi) -> None:
    intent = api.authorized()
    assert api.post(f"payment_intents/{intent}/capture", {"amount_to_capture": 700}).status == 200

    beyond = api.post("refunds", {"payment_intent": intent, "amount": 701})

    assert (beyond.status, beyond.error["param"]) == (400, "amount")
    assert api.post("refunds", {"payment_intent": intent}).body["amount"] == 700


@pytest.mark.parametrize("confirm", [False, True], ids=["unconfirmed", "only authorized"])
def test_an_uncaptured_charge_cannot_be_refunded(api: RawApi, confirm: bool) -> None:  # noqa: FBT001 - a case of the test
    intent = api.new_intent(confirm=confirm)

    rejection = api.post("refunds", {"payment_intent": intent})

    assert rejection.status == 400
    assert "does not have a successful charge" in rejection.error["message"]
    assert api.get("refunds", {"payment_intent": intent}).body["data"] == []


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "parameter_missing"),
        ({"payment_intent": "pi_unknown"}, "resource_missing"),
        ({"charge": "ch_unknown"}, "resource_missing"),
    ],
    ids=["nothing", "unknown intent", "unknown charge"],
)
def test_a_refund_needs_a_payment_that_exists(
    api: RawApi, parameters: dict[str, str], code: str
) -> None:
    rejection = api.post("refunds", parameters)

    assert (rejection.status, rejection.error["code"]) == (400, code)


def test_metadata_of_a_refund_can_be_changed(client: stripe.StripeClient) -> None:
    refund = client.v1.refunds.create({"payment_intent": captured(client).id})

    updated = client.v1.refunds.update(refund.id, {"metadata": {"seen": "yes"}})

    assert updated.metadata is not None
    assert updated.metadata.to_dict() == {"seen": "yes"}
    assert updated.status == "succeeded"
    listed = client.v1.refunds.list({"payment_intent": str(refund.payment_intent)})
    assert [found.id for found in listed] == [refund.id]


def test_a_pending_refund_succeeds_later(own_server: SandboxServer, own_api: RawApi) -> None:
    intent = own_api.captured(payment_method="pm_card_pendingRefund")
    refund = own_api.post("refunds", {"payment_intent": intent}).body
    assert (refund["status"], refund["pending_reason"]) == ("pending", "processing")
    assert own_api.post("refunds", {"payment_intent": intent}).status == 400

    own_server.advance(LATER)

    settled = own_api.get(f"refunds/{refund['id']}").body
    assert settled["status"] == "succeeded"
    assert "pending_reason" not in settled
    assert own_api.get(f"charges/{refund['charge']}").body["amount_refunded"] == 1000


@pytest.mark.parametrize(
    ("result", "ended"),
    [
        ("succeed", ("succeeded", None, 1000)),
        ("fail", ("failed", "expired_or_canceled_card", 0)),
    ],
)
def test_a_control_ends_a_pending_refund(
    own_server: SandboxServer, own_api: RawApi, result: str, ended: tuple[str, str | None, int]
) -> None:
    intent = own_api.captured(payment_method="pm_card_pendingRefund")
    refund = own_api.post("refunds", {"payment_intent": intent}).body

    assert own_server.settle_refund(refund["id"], result) == ended[0]
    own_server.kill()
    own_server.restart()
    own_server.advance(LATER)

    found = own_api.get(f"refunds/{refund['id']}").body
    charge = own_api.get(f"charges/{refund['charge']}").body
    assert (found["status"], found.get("failure_reason"), charge["amount_refunded"]) == ended
    with pytest.raises(ServiceFailed, match=f"{refund['id']} is {ended[0]}"):
        own_server.settle_refund(refund["id"], "fail")


def test_a_control_keeps_a_refund_pending(own_server: SandboxServer, own_api: RawApi) -> None:
    intent = own_api.captured(payment_method="pm_card_pendingRefund")
    refund = own_api.post("refunds", {"payment_intent": intent}).id

    assert own_server.settle_refund(refund, "wait") == "pending"
    own_server.advance(LATER)
    assert own_api.get(f"refunds/{refund}").body["status"] == "pending"

    assert own_server.settle_refund(refund, "succeed") == "succeeded"


def test_a_control_rejects_an_unknown_refund(own_server: SandboxServer) -> None:
    with pytest.raises(ServiceFailed, match="no such Refund: re_none"):
        own_server.settle_refund("re_none", "fail")


def test_a_control_rejects_another_result(own_server: SandboxServer, own_api: RawApi) -> None:
    intent = own_api.captured(payment_method="pm_card_pendingRefund")
    refund = own_api.post("refunds", {"payment_intent": intent}).id

    with pytest.raises(ServiceFailed, match="result is not succeed, fail or wait"):
        own_server.settle_refund(refund, "settle")


def test_a_refund_can_fail_after_it_succeeded(own_server: SandboxServer, own_api: RawApi) -> None:
    intent = own_api.captured(payment_method="pm_card_refundFail")
    refund = own_api.post("refunds", {"payment_intent": intent}).body
    assert refund["status"] == "succeeded"
    own_api.post(f"refunds/{refund['id']}", {"metadata": {"seen": "yes"}})

    own_server.advance(LATER)

    failed = own_api.get(f"refunds/{refund['id']}").body
    assert (failed["status"], failed["failure_reason"]) == ("failed", "expired_or_canceled_card")
    charge = own_api.get(f"charges/{refund['charge']}").body
    assert (charge["amount_refunded"], charge["refunded"]) == (0, False)
    assert own_api.post("refunds", {"payment_intent": intent}).body["amount"] == 1000


def test_a_refund_fails_later_even_after_a_restart(
    own_server: SandboxServer, own_api: RawApi
) -> None:
    intent = own_api.captured(payment_method="pm_card_refundFail")
    refund = own_api.post("refunds", {"payment_intent": intent}).id
    own_server.kill()
    own_server.restart()

    own_server.advance(LATER)

    assert own_api.get(f"refunds/{refund}").body["status"] == "failed"
