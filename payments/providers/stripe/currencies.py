"""What Stripe charges in each currency. Come here to convert amounts between Stripe's units and ours.

The rules are those of https://docs.stripe.com/currencies. A rule about decimals is never changed
for a currency that was charged: a repeated request must equal the first one exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from money.currencies import EXPONENTS
from payments.errors import RequestRejected
from payments.provider_types import ChargeLimits

MAX_DIGITS: Final = 8
"""The digits of the largest amount that every card takes, in most currencies."""


@dataclass(frozen=True, slots=True)
class StripeCurrency:
    """One currency at Stripe. Amounts are in Stripe's units."""

    decimals: int = 2
    """10 to this power are Stripe's units of one whole unit."""
    step: int = 1
    """Amounts must be multiples of it."""
    minimum: int = 0
    """The published minimum of an account that settles in this currency; 0 for none.

    An account that settles in another currency has that currency's minimum, converted at the day's
    rate. Only Stripe knows it then, and rejects a smaller payment with ``amount_too_small``.
    """
    digits: int = MAX_DIGITS


_TWO_DECIMALS: Final = (
    "aed afn all amd aoa ars aud awg azn bam bbd bdt bmd bnd bob brl bsd bwp byn bzd cad cdf chf "
    "cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf "
    "idr ils inr jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk "
    "mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek "
    "sgd shp sle sos srd szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd yer zar zmw "
)
_ZERO_DECIMALS: Final = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf "
_TWO_DECIMALS_ALWAYS_ZERO: Final = "isk ugx "
"""Former two-decimal currencies: Stripe still takes two decimals, and only whole units."""
_THREE_DECIMALS_LAST_ONE_ZERO: Final = "bhd jod kwd omr tnd "

_MINIMUMS: Final[Mapping[str, int]] = {
    "aed": 200, "ars": 50, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "cop": 50, "czk": 1500,
    "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "idr": 50, "ils": 50, "inr": 50,
    "jpy": 50, "krw": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "php": 50, "pln": 200,
    "ron": 200, "rub": 50, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50, "zar": 50,
}  # fmt: skip
_MORE_DIGITS: Final[Mapping[str, int]] = {"cop": 10, "idr": 12, "inr": 9}


def _rows(codes: str, decimals: int, step: int = 1) -> dict[str, StripeCurrency]:
    return {
        code: StripeCurrency(
            decimals, step, _MINIMUMS.get(code, 0), _MORE_DIGITS.get(code, MAX_DIGITS)
        )
        for code in codes.split()
    }


CURRENCIES: Final[Mapping[str, StripeCurrency]] = {
    **_rows(_TWO_DECIMALS, 2),
    **_rows(_ZERO_DECIMALS, 0),
    **_rows(_TWO_DECIMALS_ALWAYS_ZERO, 2, step=100),
    **_rows(_THREE_DECIMALS_LAST_ONE_ZERO, 3, step=10),
}
"""The currencies that Stripe charges and ISO 4217 knows, by code in lower case."""


def charge_limits(currency: str) -> ChargeLimits | None:
    """Return what Stripe charges in a currency, in minor units; None if it does not charge in it."""
    row = CURRENCIES.get(currency.lower())
    if row is None:
        return None
    increment_minor = from_stripe(row.step, currency)
    largest = 10**row.digits - 1
    return ChargeLimits(
        min_minor=from_stripe(max(row.minimum, row.step), currency),
        max_minor=from_stripe(largest - largest % row.step, currency),
        increment_minor=increment_minor,
    )


def to_stripe(amount_minor: int, currency: str) -> int:
    """Return an amount in Stripe's units. Raises RequestRejected for one that it cannot charge."""
    row = CURRENCIES.get(currency.lower())
    if row is None:
        raise RequestRejected(f"Stripe does not charge in {currency}", "currency_not_charged")
    numerator, denominator = _factor(currency)
    amount, rest = divmod(amount_minor * numerator, denominator)
    if rest or amount % row.step:
        text = f"Stripe cannot charge {amount_minor} minor units of {currency}"
        raise RequestRejected(text, "amount_not_charged")
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """Return a Stripe amount in minor units.

    A fraction of a minor unit is rounded up, so that no money disappears; we never charge fractions.
    An amount in a currency that we never charge is returned unchanged: it is another system's.
    """
    numerator, denominator = _factor(currency)
    return -(-amount * denominator // numerator)


def _factor(currency: str) -> tuple[int, int]:
    """Return Stripe's units for one minor unit, as a fraction."""
    code = currency.lower()
    if code not in CURRENCIES:
        return 1, 1
    shift = CURRENCIES[code].decimals - EXPONENTS[code]
    return 10 ** max(shift, 0), 10 ** max(-shift, 0)
