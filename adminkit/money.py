"""Amounts as people read them. Everywhere else they are whole minor units."""

from decimal import Decimal
from typing import Final

# ISO 4217's exponents, where they are not 2.
_EXPONENTS: Final = {
    **dict.fromkeys(
        ("bif", "clp", "djf", "gnf", "isk", "jpy", "kmf", "krw", "pyg", "rwf", "ugx", "vnd", "vuv",
         "xaf", "xof", "xpf"),
        0,
    ),
    **dict.fromkeys(("bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"), 3),
}  # fmt: skip


def money(amount_minor: int, currency: str) -> str:
    """Return an amount in minor units as ``1,234.50 EUR``."""
    exponent = _EXPONENTS.get(currency.lower(), 2)
    whole = Decimal(amount_minor).scaleb(-exponent)
    return f"{whole:,.{exponent}f} {currency.upper()}"
