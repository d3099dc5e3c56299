"""Authentication, and which parameters and headers are accepted."""

from base64 import b64encode
from typing import Any

import pytest

from tests.support.stripe_http import TEST_KEY, RawApi

INTENT = {"amount": 1000, "currency": "usd"}


def count(api: RawApi) -> int:
    return len(api.get("payment_intents", {"limit": 100, "customer": "cus_counted"}).ids)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer  ",
        "Basic !",
        f"Digest {TEST_KEY}",
        "Bearer pk_test_public",
        "Bearer something",
    ],
)
def test_requests_without_a_test_key_are_rejected(api: RawApi, authorization: str) -> None:
    headers = {"Authorization": authorization}

    rejection = api.post("payment_intents", INTENT | {"customer": "cus_counted"}, headers=headers)

    assert (rejection.status, rejection.error["type"]) == (401, "invalid_request_error")
    assert count(api) == 0


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer sk_live_secret",
        "Bearer rk_live_secret",
        "Basic " + b64encode(b"sk_live_secret:").decode(),
    ],
)
def test_a_live_key_is_rejected_and_not_repeated(api: RawApi, authorization: str) -> None:
    headers = {"Authorization": authorization}

    rejection = api.post("payment_intents", INTENT | {"customer": "cus_counted"}, headers=headers)

    assert rejection.status == 401
    assert "live-mode" in rejection.error["message"]
    assert "secret" not in rejection.text
    assert count(api) == 0


@pytest.mark.parametrize(
    "authorization",
    [f"Bearer {TEST_KEY}", "Bearer rk_test_x", "Basic " + b64encode(b"sk_test_x:").decode()],
)
def test_a_test_key_is_accepted_as_bearer_token_and_as_user_name(
    api: RawApi, authorization: str
) -> None:
    response = api.post("payment_intents", INTENT, headers={"Authorization": authorization})

    assert response.status == 200


def test_a_response_has_an_id_and_repeats_version_and_key(api: RawApi) -> None:
    first = api.post("payment_intents", INTENT, key="k-echo", headers={"Stripe-Version": "2099-1"})
    second = api.get("payment_intents/pi_unknown")

    assert first.headers["Stripe-Version"] == "2099-1"
    assert first.headers["Idempotency-Key"] == "k-echo"
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Stripe-Version"] == "2026-10-28.endive"
    assert "Idempotency-Key" not in second.headers
    assert first.headers["Request-Id"].startswith("req_")
    assert first.headers["Request-Id"] != second.headers["Request-Id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "customers"),
        ("GET", "payment_intents/pi_1/confirm"),
        ("DELETE", "payment_intents/pi_1"),
        ("POST", "charges"),
        ("POST", "payment_intents/pi_1/confirm/again"),
    ],
)
def test_an_unknown_url_is_not_found(api: RawApi, method: str, path: str) -> None:
    rejection = api.send(method, path, {})

    assert rejection.status == 404
    assert f"({method}: /v1/{path})" in rejection.error["message"]


REJECTED: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("no amount", {"currency": "usd"}, "parameter_missing", "amount"),
    ("no currency", {"amount": 5}, "parameter_missing", "currency"),
    ("nothing to pay", INTENT | {"amount": 0}, "parameter_invalid_integer", "amount"),
    ("less than nothing", INTENT | {"amount": -5}, "parameter_invalid_integer", "amount"),
    ("a fraction", INTENT | {"amount": "9.99"}, "parameter_invalid_integer", "amount"),
    ("no number", INTENT | {"amount": "ten"}, "parameter_invalid_integer", "amount"),
    ("too much", INTENT | {"amount": 100_000_000}, "amount_too_large", "amount"),
    ("too little", INTENT | {"amount": 49}, "amount_too_small", "amount"),
    ("too few yen", INTENT | {"amount": 49, "currency": "jpy"}, "amount_too_small", "amount"),
    (
        "too little in forints",
        INTENT | {"amount": 17_499, "currency": "huf"},
        "amount_too_small",
        "amount",
    ),
    ("a thousandth", INTENT | {"amount": 5124, "currency": "kwd"}, None, "amount"),
    ("a fraction of a krona", INTENT | {"amount": 550, "currency": "isk"}, None, "amount"),
    ("a word for a currency", INTENT | {"currency": "dollars"}, None, "currency"),
    ("an unknown currency", INTENT | {"currency": "xyz"}, None, "currency"),
    ("an empty value", INTENT | {"description": ""}, "parameter_invalid_empty", "description"),
    ("an unknown parameter", INTENT | {"colour": "red"}, "parameter_unknown", "colour"),
    (
        "an unknown nested parameter",
        INTENT | {"automatic_payment_methods": {"enabled": True, "colour": "red"}},
        "parameter_unknown",
        "automatic_payment_methods[colour]",
    ),
    ("an unknown choice", INTENT | {"capture_method": "someday"}, None, "capture_method"),
    ("no boolean", INTENT | {"confirm": "perhaps"}, None, "confirm"),
    ("a link to nothing", INTENT | {"expand": ["invoice"]}, None, "expand"),
    (
        "nothing to confirm with",
        INTENT | {"confirm": True},
        "parameter_missing",
        "payment_method",
    ),
    ("terms without a confirmation", INTENT | {"off_session": True}, None, "confirm"),
    (
        "no cards",
        INTENT | {"allowed_payment_method_types": ["sepa_debit"]},
        None,
        "allowed_payment_method_types",
    ),
    ("one text as metadata", INTENT | {"metadata": "order"}, None, "metadata"),
    ("nested metadata", INTENT | {"metadata": {"a": {"b": "c"}}}, None, "metadata"),
    ("a long key", INTENT | {"metadata": {"k" * 41: "v"}}, None, "metadata"),
    ("a long value", INTENT | {"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
    ("many keys", INTENT | {"metadata": {str(n): "v" for n in range(51)}}, None, "metadata"),
]


@pytest.mark.parametrize(
    ("parameters", "code", "param"),
    [case[1:] for case in REJECTED],
    ids=[case[0] for case in REJECTED],
)
def test_an_invalid_parameter_is_rejected_by_name(
    api: RawApi, parameters: dict[str, Any], code: str | None, param: str
) -> None:
    rejection = api.post("payment_intents", parameters | {"customer": "cus_counted"})

    assert (rejection.status, rejection.error["type"]) == (400, "invalid_request_error")
    assert (rejection.error.get("code"), rejection.error["param"]) == (code, param)
    assert count(api) == 0


def test_the_largest_amount_and_metadata_are_accepted(api: RawApi) -> None:
    metadata = {f"{n}".rjust(40, "k"): "v" * 500 for n in range(50)}

    response = api.post(
        "payment_intents", {"amount": 99_999_999, "currency": "usd", "metadata": metadata}
    )

    assert response.status == 200
    assert (response.body["amount"], response.body["metadata"]) == (99_999_999, metadata)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [(50, "usd"), (50, "jpy"), (17_500, "huf"), (5120, "kwd"), (500, "isk"), (5, "mga"),
     (999_999_999_999, "idr")],
)  # fmt: skip
def test_amounts_that_stripe_charges_are_accepted(api: RawApi, amount: int, currency: str) -> None:
    response = api.post("payment_intents", {"amount": amount, "currency": currency})

    assert (response.status, response.body["amount"], response.body["currency"]) == (
        200,
        amount,
        currency,
    )


def test_the_error_names_the_bound(api: RawApi) -> None:
    small = api.post("payment_intents", {"amount": 49, "currency": "usd"})
    large = api.post("payment_intents", {"amount": 100_000_000, "currency": "jpy"})

    assert small.error["message"] == "Amount must be at least 0.50 usd"
    assert large.error["message"] == "Amount must be no more than 99,999,999 jpy"


@pytest.mark.parametrize(
    ("path", "param"),
    [("payment_intents/{}/capture", "amount_to_capture"), ("refunds", "amount")],
)
def test_amounts_off_the_step_are_neither_captured_nor_refunded(
    api: RawApi, path: str, param: str
) -> None:
    takes = "manual" if "capture" in path else "automatic"
    intent = api.new_intent(confirm=True, amount=5000, currency="kwd", capture_method=takes)
    whole = {"payment_intent": intent} if path == "refunds" else {}

    rejection = api.post(path.format(intent), whole | {param: 1234})

    assert (rejection.status, rejection.error["param"]) == (400, param)
    assert api.post(path.format(intent), whole | {param: 1230}).status == 200


def test_an_american_express_card_is_declined_in_some_currencies(api: RawApi) -> None:
    def pays(card: str, currency: str) -> Any:
        return api.post("payment_intents", {
            "amount": 1000, "currency": currency, "payment_method": card, "confirm": True
        })  # fmt: skip

    declined = pays("pm_card_amex", "brl")

    assert (declined.status, declined.error["code"]) == (402, "card_declined")
    assert declined.error["decline_code"] == "currency_not_supported"
    assert [pays("pm_card_amex", "usd").status, pays("pm_card_visa", "brl").status] == [200, 200]


def test_metadata_keeps_every_character(api: RawApi) -> None:
    metadata = {"näme & co": "5 € = 100 % [ok]"}

    response = api.post("payment_intents", INTENT | {"metadata": metadata})

    assert api.get(f"payment_intents/{response.id}").body["metadata"] == metadata


def test_an_empty_value_deletes_one_key_and_an_empty_hash_all(api: RawApi) -> None:
    intent = api.new_intent(metadata={"a": "1", "b": "2", "c": "3"})

    one_less = api.post(f"payment_intents/{intent}", {"metadata": {"b": "", "d": "4"}})
    none_left = api.post(f"payment_intents/{intent}", {"metadata": ""})

    assert one_less.body["metadata"] == {"a": "1", "c": "3", "d": "4"}
    assert none_left.body["metadata"] == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("amount=1000&currency=usd&metadata[a=1", 400),
        ("amount=1000&currency=usd&metadata=1&metadata[a]=1", 400),
        ("amount=1000&currency=usd&description=%ff", 400),
        ("&".join(f"metadata[{n}]=" for n in range(1001)), 400),
        ('{"amount": 1000, "currency": "usd"}', 400),
    ],
    ids=["open bracket", "text and hash", "not UTF-8", "too many fields", "JSON"],
)
def test_an_invalid_form_is_rejected(api: RawApi, body: str, status: int) -> None:
    rejection = api.send("POST", "payment_intents", {}, body)

    assert (rejection.status, rejection.error["type"]) == (status, "invalid_request_error")
