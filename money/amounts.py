"""Amounts as people read them. Everywhere else they are whole minor units."""

from decimal import Decimal
from typing import Final

from money.currencies import EXPONENTS

_UNKNOWN: Final = 2
"""The decimals of a code that ISO 4217 has withdrawn, so that an old order can still be shown."""


def format_amount(amount_minor: int, currency: str) -> str:
    """Return an amount in minor units as ``1,234.50 EUR``."""
    exponent = EXPONENTS.get(currency.lower(), _UNKNOWN)
    whole = Decimal(amount_minor).scaleb(-exponent)
    return f"{whole:,.{exponent}f} {currency.upper()}"


def example_price(currency: str) -> str:
    """Show how a price is entered in minor units: ``125000 for 1,250.00 EUR``."""
    amount_minor = 1250 * 10 ** EXPONENTS.get(currency.lower(), _UNKNOWN)
    return f"{amount_minor} for {format_amount(amount_minor, currency)}"
