"""Stripe's published rules for amounts in each currency, and the conversion from its units.

The rules are those of https://docs.stripe.com/currencies. The application has a table of its own;
``tests/payments/test_stripe_currencies.py`` compares the two.
"""

from collections.abc import Mapping
from typing import Final

from sandbox.stripe_api.errors import ApiError, invalid

_WITH_TWO_DECIMALS: Final = (
    "usd aed afn all amd aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd "
    "cad cdf chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd "
    "hkd hnl htg huf idr ils inr isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd "
    "mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar "
    "ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah "
    "ugx uyu uzs wst xcd yer zar zmw"
)
_WITHOUT_DECIMALS: Final = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_WITH_THREE_DECIMALS: Final = "bhd jod kwd omr tnd"
_NOT_AT_AMEX: Final = (
    "afn aoa ars bob brl clp cop crc cve djf fkp gnf gtq hnl lak mur nio pab pen pyg shp srd "
    "std uyu xof xpf"
)

DECIMALS: Final[Mapping[str, int]] = {
    **dict.fromkeys(_WITHOUT_DECIMALS.split(), 0),
    **dict.fromkeys(_WITH_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_WITH_THREE_DECIMALS.split(), 3),
}
"""The decimals of an amount in Stripe's units, for each currency that Stripe charges in."""

MINOR_UNIT_DECIMALS: Final[Mapping[str, int]] = {**DECIMALS, "isk": 0, "ugx": 0, "mga": 2}
"""The decimals of an amount in minor units, by ISO 4217: three currencies differ from Stripe."""

NOT_AT_AMEX: Final = frozenset(_NOT_AT_AMEX.split())
"""The currencies in which American Express cards cannot be charged."""

_MULTIPLES: Final[Mapping[str, int]] = {
    "isk": 100, "ugx": 100, **dict.fromkeys(_WITH_THREE_DECIMALS.split(), 10),
}  # fmt: skip
"""Amounts must be multiples of these."""

_MINIMUMS: Final[Mapping[str, int]] = {
    "usd": 50, "aed": 200, "ars": 50, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50,
    "cop": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "idr": 50,
    "ils": 50, "inr": 50, "jpy": 50, "krw": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50,
    "php": 50, "pln": 200, "ron": 200, "rub": 50, "sek": 300, "sgd": 50, "thb": 1000, "zar": 50,
}  # fmt: skip
"""For an account that settles in the currency. For other currencies Stripe publishes no minimum."""

_MAX_DIGITS: Final[Mapping[str, int]] = {"cop": 10, "idr": 12, "inr": 9}
_USUAL_MAX_DIGITS: Final = 8


def check_currency(currency: str) -> None:
    """Raise ApiError for a currency that Stripe does not charge in."""
    if currency not in DECIMALS:
        raise invalid(
            f"Invalid currency: {currency}. Stripe currently supports these currencies: "
            f"{', '.join(sorted(DECIMALS))}",
            param="currency",
        )


def check_amount(amount: int, currency: str) -> None:
    """Raise ApiError for an amount that Stripe does not charge in a currency."""
    multiple = _MULTIPLES.get(currency, 1)
    least = max(_MINIMUMS.get(currency, 0), multiple)
    most = 10 ** _MAX_DIGITS.get(currency, _USUAL_MAX_DIGITS) - 1
    if amount < least:
        raise _out_of_bounds(
            f"Amount must be at least {_shown(least, currency)}", "amount_too_small"
        )
    if amount > most:
        raise _out_of_bounds(
            f"Amount must be no more than {_shown(most, currency)}", "amount_too_large"
        )
    check_multiple(amount, currency, param="amount")


def check_multiple(amount: int, currency: str, *, param: str) -> None:
    """Raise ApiError for an amount that is not a multiple of the currency's step."""
    multiple = _MULTIPLES.get(currency, 1)
    if amount % multiple:
        raise invalid(
            f"Invalid amount: amounts in {currency} must be evenly divisible by {multiple}.",
            param=param,
        )


def to_minor_units(amount: int, currency: str) -> int:
    """Return a Stripe amount in minor units. A fraction of a minor unit counts as one."""
    stripe_units, minor_units = 10 ** DECIMALS[currency], 10 ** MINOR_UNIT_DECIMALS[currency]
    return int(-(-amount * minor_units // stripe_units))


def show_minor_units(amount_minor: int, currency: str) -> str:
    """Return an amount in minor units as people read it, without the currency: ``1,234.50``."""
    decimals = MINOR_UNIT_DECIMALS[currency]
    return f"{amount_minor / 10**decimals:,.{decimals}f}"


def _out_of_bounds(message: str, code: str) -> ApiError:
    return invalid(message, param="amount", code=code)


def _shown(amount: int, currency: str) -> str:
    decimals = DECIMALS[currency]
    return f"{amount / 10**decimals:,.{decimals}f} {currency}"
