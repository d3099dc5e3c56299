"""Amounts in Stripe's units agree with Stripe's published rules and with the sandbox."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from pytest_django import Settings

from money.currencies import EXPONENTS
from payments.errors import RequestRejected
from payments.provider_types import ChargeLimits, PaymentRequest
from payments.providers.stripe.currencies import CURRENCIES, charge_limits, from_stripe, to_stripe
from payments.providers.stripe.provider import PROVIDER
from sandbox.stripe_api import currencies as sandbox
from sandbox.stripe_api.errors import ApiError
from sandbox.stripe_process import SandboxServer
from tests.support.canned_http import CannedServer, payment_response
from tests.support.stripe_calls import call_options, deadline_in

# As https://docs.stripe.com/currencies publishes them.
ZERO_DECIMAL = set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())  # noqa: SIM905 - as published
WHOLE_WITH_TWO_DECIMALS = {"isk", "ugx"}
THREE_DECIMAL = {"bhd", "jod", "kwd", "omr", "tnd"}
MINIMUMS = {
    "aed": "2.00", "ars": "0.50", "aud": "0.50", "brl": "0.50", "cad": "0.50", "chf": "0.50",
    "cop": "0.50", "czk": "15.00", "dkk": "2.50", "eur": "0.50", "gbp": "0.30", "hkd": "4.00",
    "huf": "175.00", "idr": "0.50", "ils": "0.50", "inr": "0.50", "jpy": "50", "krw": "50",
    "mxn": "10.00", "myr": "2.00", "nok": "3.00", "nzd": "0.50", "php": "0.50", "pln": "2.00",
    "ron": "2.00", "rub": "0.50", "sek": "3.00", "sgd": "0.50", "thb": "10.00", "usd": "0.50",
    "zar": "0.50",
}  # fmt: skip
WITHDRAWN_FROM_ISO_4217 = {"bgn", "std"}

EUR = {"amount_minor": 1200, "amount": 1200, "limits": ChargeLimits(50, 99_999_999, 1)}
KNOWN: dict[str, dict[str, Any]] = {
    "eur": EUR,
    "usd": EUR,
    "jpy": {"amount_minor": 1200, "amount": 1200, "limits": ChargeLimits(50, 99_999_999, 1)},
    "krw": {"amount_minor": 1200, "amount": 1200, "limits": ChargeLimits(50, 99_999_999, 1)},
    "isk": {"amount_minor": 1200, "amount": 120_000, "limits": ChargeLimits(1, 999_999, 1)},
    "ugx": {"amount_minor": 1200, "amount": 120_000, "limits": ChargeLimits(1, 999_999, 1)},
    "mga": {"amount_minor": 1200, "amount": 12, "limits": ChargeLimits(100, 9_999_999_900, 100)},
    "bhd": {"amount_minor": 1200, "amount": 1200, "limits": ChargeLimits(10, 99_999_990, 10)},
    "idr": {"amount_minor": 1200, "amount": 1200, "limits": ChargeLimits(50, 999_999_999_999, 1)},
}


def test_the_currency_table_follows_the_published_rules() -> None:
    decimals = {code: (row.decimals, row.step) for code, row in CURRENCIES.items()}

    assert {code for code, row in decimals.items() if row == (0, 1)} == ZERO_DECIMAL
    assert {code for code, row in decimals.items() if row == (2, 100)} == WHOLE_WITH_TWO_DECIMALS
    assert {code for code, row in decimals.items() if row == (3, 10)} == THREE_DECIMAL
    special = ZERO_DECIMAL | WHOLE_WITH_TWO_DECIMALS | THREE_DECIMAL
    assert {decimals[code] for code in CURRENCIES.keys() - special} == {(2, 1)}
    assert {code: row.minimum for code, row in CURRENCIES.items() if row.minimum} == {
        code: int(text.replace(".", "")) for code, text in MINIMUMS.items()
    }


def test_stripes_decimals_differ_from_iso_4217_in_three_currencies() -> None:
    differing = {
        code: (row.decimals, EXPONENTS[code])
        for code, row in CURRENCIES.items()
        if row.decimals != EXPONENTS[code]
    }

    assert differing == {"isk": (2, 0), "ugx": (2, 0), "mga": (0, 2)}


def test_the_table_has_the_sandboxs_currencies_except_withdrawn_ones() -> None:
    assert CURRENCIES.keys() == sandbox.DECIMALS.keys() - WITHDRAWN_FROM_ISO_4217


@pytest.mark.parametrize("currency", CURRENCIES)
def test_the_sandbox_converts_amounts_as_the_application_does(currency: str) -> None:
    amounts = (0, 1, 99, 100, 12_340)

    assert sandbox.MINOR_UNIT_DECIMALS[currency] == EXPONENTS[currency]
    assert [sandbox.to_minor_units(amount, currency) for amount in amounts] == [
        from_stripe(amount, currency) for amount in amounts
    ]


@pytest.mark.parametrize("currency", KNOWN)
def test_limits_and_conversions_are_exact(currency: str) -> None:
    known = KNOWN[currency]

    assert charge_limits(currency) == known["limits"]
    assert to_stripe(known["amount_minor"], currency) == known["amount"]
    assert from_stripe(known["amount"], currency) == known["amount_minor"]


@pytest.mark.parametrize("currency", ["xyz", "", "bgn", "clf", "xau"])
def test_stripe_does_not_charge_in_other_currencies(currency: str) -> None:
    assert charge_limits(currency) is None
    with pytest.raises(RequestRejected):
        to_stripe(1200, currency)


@pytest.mark.parametrize(("amount_minor", "currency"), [(1201, "bhd"), (1250, "mga"), (1, "mga")])
def test_an_amount_is_never_rounded(amount_minor: int, currency: str) -> None:
    with pytest.raises(RequestRejected):
        to_stripe(amount_minor, currency)


def test_a_fraction_charged_by_another_system_is_rounded_up() -> None:
    assert [from_stripe(amount, "isk") for amount in (0, 1, 100, 101)] == [0, 1, 1, 2]
    assert from_stripe(1234, "bgn") == 1234


def accepts(amount: int, currency: str) -> bool:
    try:
        sandbox.check_amount(amount, currency)
    except ApiError:
        return False
    return True


@pytest.mark.parametrize("currency", CURRENCIES)
def test_the_limits_agree_with_the_sandbox(currency: str) -> None:
    limits = charge_limits(currency)
    assert limits is not None
    step = to_stripe(limits.increment_minor, currency)
    least, most = (to_stripe(bound, currency) for bound in (limits.min_minor, limits.max_minor))

    assert [accepts(amount, currency) for amount in (least, least + step, most - step, most)] == [
        True
    ] * 4
    assert [accepts(amount, currency) for amount in (least - step, most + step)] == [False] * 2
    assert step == 1 or not accepts(least + 1, currency)


def params(amount_minor: int, currency: str) -> dict[str, Any]:
    return PROVIDER.payment_params(
        PaymentRequest(amount_minor, currency, "pm_card_visa", {"order_id": "42"})
    )


@pytest.fixture
def canned(settings: Settings) -> Iterator[CannedServer]:
    settings.STRIPE_CALLS_PER_SECOND = 0
    settings.STRIPE_API_KEY = "sk_test_secret"
    with CannedServer() as canned:
        settings.STRIPE_API_BASE = canned.url
        yield canned


@pytest.mark.parametrize("currency", KNOWN)
def test_amounts_are_sent_in_stripes_units(canned: CannedServer, currency: str) -> None:
    known = KNOWN[currency]
    of_currency = {"amount_minor": known["amount_minor"], "currency": currency}
    stored = params(known["amount_minor"], currency)
    canned.answer = payment_response(currency=currency, amount=known["amount"])

    PROVIDER.create_payment(stored, **call_options())
    PROVIDER.capture_payment("pi_1", **of_currency, **call_options())

    create, capture = (parse_qs(request.body) for request in canned.requests)
    assert stored["amount"] == known["amount_minor"]
    assert create["amount"] == [str(known["amount"])]
    assert capture["amount_to_capture"] == [str(known["amount"])]


@pytest.mark.parametrize("currency", KNOWN)
def test_a_payment_is_sent_and_read_back_in_minor_units(
    sandbox_stripe: SandboxServer, currency: str
) -> None:
    amount_minor = KNOWN[currency]["amount_minor"]
    of_currency = {"amount_minor": amount_minor, "currency": currency}

    sent = params(amount_minor, currency)
    payment = PROVIDER.create_payment(sent, **call_options())
    held = PROVIDER.confirm_payment(payment.id, sent, **call_options())
    taken = PROVIDER.capture_payment(payment.id, **of_currency, **call_options())
    refund = PROVIDER.create_refund(payment.id, **of_currency, metadata={}, **call_options())

    assert (payment.amount_minor, held.held_minor) == (amount_minor, amount_minor)
    assert (taken.amount_minor, taken.held_minor, taken.captured_minor) == (
        amount_minor, 0, amount_minor
    )  # fmt: skip
    assert (refund.amount_minor, refund.currency) == (amount_minor, currency)
    listed = PROVIDER.list_payments(
        created_from=datetime(2000, 1, 1, tzinfo=UTC), deadline=deadline_in()
    )
    assert [found for found in listed if found.id == payment.id] == [taken]
    since = PROVIDER.list_refunds_since(datetime(2000, 1, 1, tzinfo=UTC), deadline=deadline_in())
    assert [found for found in since if found.id == refund.id] == [refund]
    assert PROVIDER.list_refunds(payment.id, deadline=deadline_in()) == [refund]
    [booked] = [
        intent
        for intent in sandbox_stripe.ledger()["payment_intents"]
        if intent["id"] == payment.id
    ]
    assert booked["amount"] == KNOWN[currency]["amount"]
