"""3D Secure: a PaymentIntent waits for its customer, who completes the authentication or fails."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.service_process import ServiceFailed
from sandbox.stripe_api.cards import TEST_CARDS
from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import RawApi, StripeResponse
from tests.support.waits import wait_until

CARD = "pm_card_authenticationRequired"
RETURN_URL = "https://shop.example/paid?basket=7"

CARDS = [
    "pm_card_authenticationRequired",
    "pm_card_authenticationRequiredOnSetup",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
    "pm_card_threeDSecure2Required",
    "pm_card_threeDSecureRequired",
    "pm_card_threeDSecureRequiredChargeDeclined",
]


def waiting(api: RawApi, payment_method: str = CARD, **parameters: Any) -> str:
    """Return the id of an intent that waits for its customer."""
    return api.new_intent(payment_method=payment_method, confirm=True, **parameters)


def retrieved(api: RawApi, intent: str) -> dict[str, Any]:
    return api.get(f"payment_intents/{intent}", {"expand": ["latest_charge"]}).body


def charges_of(server: SandboxServer, intent: str) -> list[str]:
    """Return the status of each charge of an intent."""
    charges = server.ledger()["charges"]
    return [charge["status"] for charge in charges if charge["payment_intent"] == intent]


def answer_to(server: SandboxServer, intent: str, result: object) -> int:
    """Return the HTTP status of the control that ends an authentication."""
    url = f"{server.url}/_sandbox/authentications/{intent}"
    return int(server._http.request("POST", url, json={"result": result}).status)


def test_every_card_that_asks_for_authentication_is_tested() -> None:
    asking = [name for name, card in TEST_CARDS.items() if card.needs_authentication]

    assert sorted(asking) == sorted(CARDS)


@pytest.mark.parametrize("card", CARDS)
def test_a_card_that_asks_for_authentication_holds_nothing(
    api: RawApi, server: SandboxServer, card: str
) -> None:
    intent = api.new_intent(payment_method=card)
    created = retrieved(api, intent)

    confirmed = api.post(f"payment_intents/{intent}/confirm")

    assert (confirmed.status, confirmed.body["status"]) == (200, "requires_action")
    assert (confirmed.body["amount_capturable"], confirmed.body["latest_charge"]) == (0, None)
    assert confirmed.body["client_secret"].startswith(f"{intent}_secret_")
    assert confirmed.body["client_secret"] == created["client_secret"]
    assert created["next_action"] is None
    assert retrieved(api, intent) == confirmed.body
    assert charges_of(server, intent) == []


def test_the_next_action_depends_on_the_parameters(api: RawApi, server: SandboxServer) -> None:
    intent = api.new_intent(payment_method=CARD)

    def next_action(**parameters: Any) -> dict[str, Any]:
        confirmed = api.post(f"payment_intents/{intent}/confirm", parameters)
        action: dict[str, Any] = confirmed.body["next_action"]
        return action

    page = f"{server.url}/authenticate/{intent}"
    for_the_sdk = {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page},
    }
    assert next_action() == for_the_sdk
    assert next_action(return_url=RETURN_URL) == {
        "type": "redirect_to_url",
        "redirect_to_url": {"return_url": RETURN_URL, "url": page},
    }
    assert next_action(return_url=RETURN_URL, use_stripe_sdk=True) == for_the_sdk


@pytest.mark.parametrize("url", ["shop.example", "https://", "https://shop.example/a b", "x://;y"])
def test_an_invalid_return_url_is_rejected(api: RawApi, url: str) -> None:
    intent = api.new_intent(payment_method=CARD)

    rejected = api.post(f"payment_intents/{intent}/confirm", {"return_url": url})

    assert (rejected.status, rejected.error["code"]) == (400, "url_invalid")
    assert rejected.error["param"] == "return_url"
    assert retrieved(api, intent)["status"] == "requires_confirmation"


@pytest.mark.parametrize(
    ("capture_method", "status"), [("manual", "requires_capture"), ("automatic", "succeeded")]
)
def test_a_completed_authentication_charges_the_card(
    api: RawApi, server: SandboxServer, capture_method: str, status: str
) -> None:
    intent = waiting(api, capture_method=capture_method)

    assert server.authenticate(intent, "complete") == status

    body = retrieved(api, intent)
    assert (body["status"], body["next_action"], body["last_payment_error"]) == (status, None, None)
    assert body["amount_capturable"] + body["amount_received"] == body["amount"]
    secure = body["latest_charge"]["payment_method_details"]["card"]["three_d_secure"]
    assert (secure["result"], secure["authentication_flow"]) == ("authenticated", "challenge")
    assert charges_of(server, intent) == ["succeeded"]


def test_a_charge_without_authentication_says_so(api: RawApi) -> None:
    charge = retrieved(api, api.authorized())["latest_charge"]

    assert charge["payment_method_details"]["card"]["three_d_secure"] is None


@pytest.mark.parametrize(
    ("card", "decline_code"),
    [
        (
            "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
            "insufficient_funds",
        ),
        ("pm_card_threeDSecureRequiredChargeDeclined", "generic_decline"),
    ],
)
def test_a_card_can_decline_after_the_authentication(
    api: RawApi, server: SandboxServer, card: str, decline_code: str
) -> None:
    intent = waiting(api, card)

    assert server.authenticate(intent, "complete") == "requires_payment_method"

    body = retrieved(api, intent)
    error = body["last_payment_error"]
    assert (error["type"], error["code"]) == ("card_error", "card_declined")
    assert error["decline_code"] == decline_code
    assert (body["next_action"], body["payment_method"]) == (None, None)
    assert charges_of(server, intent) == ["failed"]


def test_a_failed_authentication_charges_nothing_and_another_card_can_pay(
    api: RawApi, server: SandboxServer
) -> None:
    intent = waiting(api)

    assert server.authenticate(intent, "fail") == "requires_payment_method"

    body = retrieved(api, intent)
    error = body["last_payment_error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "payment_intent_authentication_failure"
    assert error["payment_method"]["id"] == CARD
    assert "decline_code" not in error
    assert (body["next_action"], body["payment_method"]) == (None, None)
    assert charges_of(server, intent) == []
    paid = api.post(f"payment_intents/{intent}/confirm", {"payment_method": "pm_card_visa"})
    assert (paid.body["status"], paid.body["last_payment_error"]) == ("requires_capture", None)


def test_a_cancelled_intent_cannot_be_authenticated(api: RawApi, server: SandboxServer) -> None:
    intent = waiting(api)

    cancelled = api.post(f"payment_intents/{intent}/cancel")

    assert (cancelled.status, cancelled.body["status"]) == (200, "canceled")
    assert cancelled.body["next_action"] is None
    for result in ("complete", "fail"):
        assert answer_to(server, intent, result) == 409
    assert retrieved(api, intent) == cancelled.body
    assert charges_of(server, intent) == []


def authenticated(api: RawApi, server: SandboxServer) -> str:
    intent = waiting(api)
    server.authenticate(intent, "complete")
    return intent


def failed(api: RawApi, server: SandboxServer) -> str:
    intent = waiting(api)
    server.authenticate(intent, "fail")
    return intent


@pytest.mark.parametrize("result", ["complete", "fail"])
@pytest.mark.parametrize(
    "start",
    [
        lambda api, _: api.new_intent(payment_method=CARD),
        lambda api, _: api.authorized(),
        lambda api, _: api.captured(),
        authenticated,
        failed,
    ],
    ids=["not confirmed", "authorized", "captured", "authenticated", "failed"],
)
def test_only_a_waiting_intent_can_be_authenticated(
    api: RawApi, server: SandboxServer, start: Callable[[RawApi, SandboxServer], str], result: str
) -> None:
    intent = start(api, server)
    before, charges = retrieved(api, intent), charges_of(server, intent)

    assert answer_to(server, intent, result) == 409

    assert retrieved(api, intent) == before
    assert charges_of(server, intent) == charges


def test_an_unknown_intent_or_result_is_rejected(api: RawApi, server: SandboxServer) -> None:
    intent = waiting(api)

    assert answer_to(server, "pi_unknown", "complete") == 404
    assert [answer_to(server, intent, result) for result in ("", "Complete", None, 1)] == [400] * 4
    assert retrieved(api, intent)["status"] == "requires_action"


def test_confirming_again_asks_again_and_charges_once(api: RawApi, server: SandboxServer) -> None:
    intent = waiting(api)

    again = api.post(f"payment_intents/{intent}/confirm", {"return_url": RETURN_URL})
    other = api.post(f"payment_intents/{intent}/confirm", {"payment_method": CARDS[-2]})

    assert [again.body["status"], other.body["status"]] == ["requires_action"] * 2
    assert again.body["next_action"]["type"] == "redirect_to_url"
    assert other.body["next_action"]["type"] == "use_stripe_sdk"
    server.authenticate(intent, "complete")
    assert retrieved(api, intent)["payment_method"] == CARDS[-2]
    assert charges_of(server, intent) == ["succeeded"]


def test_a_repeated_confirmation_gets_its_first_answer(api: RawApi, server: SandboxServer) -> None:
    intent = api.new_intent(payment_method=CARD)

    def confirm() -> StripeResponse:
        return api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")

    first = confirm()
    server.authenticate(intent, "complete")

    again = confirm()

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.text == first.text
    assert retrieved(api, intent)["status"] == "requires_capture"


def test_waiting_and_authenticated_intents_survive_a_kill(
    own_server: SandboxServer, own_api: RawApi
) -> None:
    unfinished, completed, refused = (waiting(own_api) for _ in range(3))
    own_server.authenticate(completed, "complete")
    own_server.authenticate(refused, "fail")
    before = [retrieved(own_api, intent) for intent in (unfinished, completed, refused)]

    own_server.kill()
    own_server.restart()

    after = [retrieved(own_api, intent) for intent in (unfinished, completed, refused)]
    assert after == before
    assert own_server.authenticate(unfinished, "complete") == "requires_capture"
    assert charges_of(own_server, completed) == ["succeeded"]


def test_of_concurrent_ends_one_takes_effect(api: RawApi, server: SandboxServer) -> None:
    intent = waiting(api)

    with ThreadPoolExecutor(16) as threads:
        ends = threads.map(
            lambda number: answer_to(server, intent, ("complete", "fail")[number % 2]), range(16)
        )

    assert sorted(ends) == [200] + [409] * 15
    completed = retrieved(api, intent)["status"] == "requires_capture"
    assert charges_of(server, intent) == (["succeeded"] if completed else [])


def test_a_cancel_after_the_authentication_releases_the_money(
    api: RawApi, server: SandboxServer
) -> None:
    intent = waiting(api)
    rule = server.add_fault("payment_intents.cancel", "hold", times=1)
    with ThreadPoolExecutor(1) as threads:
        cancelling = threads.submit(api.post, f"payment_intents/{intent}/cancel")
        wait_until(lambda: server.held(rule) == 1)

        assert server.authenticate(intent, "complete") == "requires_capture"
        server.release(rule)

    body = cancelling.result().body
    assert (body["status"], body["amount_capturable"]) == ("canceled", 0)
    with pytest.raises(ServiceFailed, match="is canceled"):
        server.authenticate(intent, "complete")
    assert charges_of(server, intent) == ["succeeded"]
