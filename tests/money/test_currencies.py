"""The table of currencies agrees with ISO 4217, and amounts are formatted for people."""

import pytest
from iso4217 import Currency

from money.amounts import example_price, format_amount
from money.currencies import EXPONENTS

NOT_PAID_IN = {"bov", "che", "chw", "clf", "cou", "mxv", "usn", "uyi", "uyw"}
"""Units of account and funds, which cannot be used for payments."""


def test_the_table_agrees_with_iso_4217() -> None:
    exponents = {currency.code.lower(): currency.exponent for currency in Currency}

    assert {
        code: exponent
        for code, exponent in exponents.items()
        if exponent is not None and code not in NOT_PAID_IN
    } == EXPONENTS


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (1250, "eur", "12.50 EUR"),
        (1250, "usd", "12.50 USD"),
        (1250, "jpy", "1,250 JPY"),
        (1250, "krw", "1,250 KRW"),
        (1250, "isk", "1,250 ISK"),
        (1250, "ugx", "1,250 UGX"),
        (1250, "mga", "12.50 MGA"),
        (1250, "bhd", "1.250 BHD"),
        (1250, "EUR", "12.50 EUR"),
        (1250, "bgn", "12.50 BGN"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(
    amount_minor: int, currency: str, text: str
) -> None:
    assert format_amount(amount_minor, currency) == text


@pytest.mark.parametrize(
    ("currency", "text"),
    [
        ("eur", "125000 for 1,250.00 EUR"),
        ("jpy", "1250 for 1,250 JPY"),
        ("mga", "125000 for 1,250.00 MGA"),
        ("bhd", "1250000 for 1,250.000 BHD"),
    ],
)
def test_an_example_shows_the_minor_units(currency: str, text: str) -> None:
    assert example_price(currency) == text
