"""What commands take besides words: types for argparse, which says what was wrong and ends with 2."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Final

A_YEAR_IN_SECONDS: Final = 365 * 86_400.0


def seconds(at_least: float = 0.0) -> Callable[[str], float]:
    """Return what reads a time in seconds: a number, from ``at_least`` to a year."""

    def read(given: str) -> float:
        try:
            found = float(given)
        except ValueError:
            found = -1.0
        if not at_least <= found <= A_YEAR_IN_SECONDS:  # nor NaN
            raise ArgumentTypeError(f"{given!r} is no time in seconds, at least {at_least:g}")
        return found

    return read


def text(at_most: int, *, at_least: int = 1) -> Callable[[str], str]:
    """Return what reads a text of so many characters, blanks at its ends taken away."""

    def read(given: str) -> str:
        found = given.strip()
        if not at_least <= len(found) <= at_most or "\0" in found:
            raise ArgumentTypeError(f"{at_least} to {at_most} characters are taken")
        return found

    return read


def whole_number(at_least: int, at_most: int) -> Callable[[str], int]:
    """Return what reads a whole number between two others."""

    def read(given: str) -> int:
        try:
            found = int(given)
        except ValueError:
            found = at_least - 1
        if not at_least <= found <= at_most:
            raise ArgumentTypeError(f"{given!r} is no number from {at_least} to {at_most}")
        return found

    return read
