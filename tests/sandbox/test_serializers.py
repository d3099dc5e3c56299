"""Every object has the fields and types that the official library declares."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.stripe_http import RawApi, StripeResponse
from tests.support.stripe_types import problems_in


def confirmed(api: RawApi, payment_method: str, **parameters: Any) -> StripeResponse:
    intent = {"amount": 500, "currency": "eur", "payment_method": payment_method, "confirm": True}
    return api.post("payment_intents", intent | parameters)


def a_new_intent(api: RawApi) -> StripeResponse:
    return api.post("payment_intents", {"amount": 500, "currency": "eur", "customer": "cus_1"})


def an_authorized_intent(api: RawApi) -> StripeResponse:
    return confirmed(api, "pm_card_amex", capture_method="manual", expand=["latest_charge"])


def a_captured_intent(api: RawApi) -> StripeResponse:
    return confirmed(api, "pm_card_mastercard", metadata={"order": "1"}, expand=["latest_charge"])


def an_intent_that_waits_for_its_customer(api: RawApi) -> StripeResponse:
    return confirmed(api, "pm_card_authenticationRequired")


def an_intent_that_redirects_its_customer(api: RawApi) -> StripeResponse:
    return confirmed(api, "pm_card_authenticationRequired", return_url="https://shop.example/back")


def a_declined_intent(api: RawApi) -> StripeResponse:
    intent = confirmed(api, "pm_card_chargeDeclined").error["payment_intent"]["id"]
    return api.get(f"payment_intents/{intent}", {"expand": ["latest_charge"]})


def a_canceled_intent(api: RawApi) -> StripeResponse:
    return api.post(
        f"payment_intents/{api.authorized()}/cancel", {"cancellation_reason": "duplicate"}
    )


def a_charge(api: RawApi) -> StripeResponse:
    intent = api.get(f"payment_intents/{api.authorized()}").body
    return api.get(f"charges/{intent['latest_charge']}", {"expand": ["payment_intent"]})


def a_refund(api: RawApi) -> StripeResponse:
    refund = {"payment_intent": api.captured(), "expand": ["charge", "payment_intent"]}
    return api.post("refunds", refund | {"reason": "duplicate", "metadata": {"why": "test"}})


def a_pending_refund(api: RawApi) -> StripeResponse:
    intent = api.captured(payment_method="pm_card_pendingRefund")
    return api.post("refunds", {"payment_intent": intent})


def a_list_of_intents(api: RawApi) -> StripeResponse:
    api.authorized()
    return api.get("payment_intents", {"limit": 3, "expand": ["data.latest_charge"]})


def a_list_of_refunds(api: RawApi) -> StripeResponse:
    refund = a_refund(api).body
    return api.get("refunds", {"charge": refund["charge"]["id"], "expand": ["data.charge"]})


def a_decline(api: RawApi) -> StripeResponse:
    return confirmed(api, "pm_card_visa_chargeDeclinedInsufficientFunds")


def a_state_error(api: RawApi) -> StripeResponse:
    return api.post(f"payment_intents/{api.captured()}/cancel")


def a_parameter_error(api: RawApi) -> StripeResponse:
    return api.post("payment_intents", {"amount": 500, "currency": "eur", "colour": "red"})


RESPONSES: list[tuple[Callable[[RawApi], StripeResponse], int, str]] = [
    (a_new_intent, 200, "payment_intent"),
    (an_authorized_intent, 200, "payment_intent"),
    (a_captured_intent, 200, "payment_intent"),
    (an_intent_that_waits_for_its_customer, 200, "payment_intent"),
    (an_intent_that_redirects_its_customer, 200, "payment_intent"),
    (a_declined_intent, 200, "payment_intent"),
    (a_canceled_intent, 200, "payment_intent"),
    (a_charge, 200, "charge"),
    (a_refund, 200, "refund"),
    (a_pending_refund, 200, "refund"),
    (a_list_of_intents, 200, "list"),
    (a_list_of_refunds, 200, "list"),
    (a_decline, 402, "error"),
    (a_state_error, 400, "error"),
    (a_parameter_error, 400, "error"),
]


@pytest.mark.parametrize(
    ("response_of", "status", "kind"),
    RESPONSES,
    ids=[response_of.__name__ for response_of, *_ in RESPONSES],
)
def test_a_response_has_the_declared_fields_and_types(
    api: RawApi, response_of: Callable[[RawApi], StripeResponse], status: int, kind: str
) -> None:
    response = response_of(api)

    assert response.status == status
    assert response.body.get("object", "error") == kind
    assert problems_in(response.body) == []


WRONG_FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("a field too many", {"colour": "red"}, "payment_intent.colour: unknown"),
    ("a wrong type", {"amount": "500"}, "payment_intent.amount: '500' is not of type"),
    ("a boolean for a number", {"amount": True}, "payment_intent.amount: True is not of type"),
    ("an unlisted status", {"status": "done"}, "payment_intent.status: 'done' is not one of"),
    ("null where none may be", {"metadata": None}, "payment_intent.metadata"),
    ("a wrong nested type", {"amount_details": {"tip": {"amount": "1"}}}, "amount_details.tip"),
    ("a link to something else", {"latest_charge": 7}, "payment_intent.latest_charge"),
    ("an item of a wrong type", {"payment_method_types": [1]}, "payment_method_types[]"),
]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [case[1:] for case in WRONG_FIELDS],
    ids=[case[0] for case in WRONG_FIELDS],
)
def test_the_comparison_finds_a_wrong_field(
    api: RawApi, changed: dict[str, Any], problem: str
) -> None:
    intent = an_authorized_intent(api).body

    problems = problems_in(intent | changed)

    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize("field", ["amount", "status", "metadata", "payment_method_types"])
def test_the_comparison_finds_a_missing_field(api: RawApi, field: str) -> None:
    intent = a_new_intent(api).body
    del intent[field]

    assert problems_in(intent) == [f"payment_intent.{field}: missing"]
