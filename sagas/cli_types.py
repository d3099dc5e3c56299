"""Argument types of management commands. For a wrong value argparse exits with status 2."""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

A_YEAR_IN_SECONDS: Final = 365 * 86_400.0

_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


def seconds(at_least: float = 0.0) -> Callable[[str], float]:
    """Return an argument type for seconds, from ``at_least`` to a year."""

    def read(given: str) -> float:
        try:
            found = float(given)
        except ValueError:
            found = -1.0
        if not at_least <= found <= A_YEAR_IN_SECONDS:  # nor NaN
            raise ArgumentTypeError(f"{given!r} is not a number of seconds, at least {at_least:g}")
        return found

    return read


def text(at_most: int, *, at_least: int = 1) -> Callable[[str], str]:
    """Return an argument type for a text of this length, without blanks at its ends."""

    def read(given: str) -> str:
        found = given.strip()
        if not at_least <= len(found) <= at_most or "\0" in found:
            raise ArgumentTypeError(f"give {at_least} to {at_most} characters")
        return found

    return read


def whole_number(at_least: int, at_most: int) -> Callable[[str], int]:
    """Return an argument type for a whole number in this range."""

    def read(given: str) -> int:
        try:
            found = int(given)
        except ValueError:
            found = at_least - 1
        if not at_least <= found <= at_most:
            raise ArgumentTypeError(f"{given!r} is not a number from {at_least} to {at_most}")
        return found

    return read


def duration(given: str) -> timedelta:
    """Read a duration of at most a year, such as ``14d`` or ``1d12h``; m is minutes."""
    match = _DURATION.fullmatch(given)
    parts = (
        [min(int(part or 0), int(A_YEAR_IN_SECONDS)) for part in match.groups()] if match else []
    )
    found = timedelta(**dict(zip(("days", "hours", "minutes", "seconds"), parts, strict=False)))
    if not timedelta() < found <= timedelta(seconds=A_YEAR_IN_SECONDS):
        raise ArgumentTypeError(
            f"{given!r} is not a duration of at most a year, such as 14d or 1d12h"
        )
    return found


def moment(given: str) -> datetime:
    """Read a date with a time in ISO 8601, in UTC unless it names an offset."""
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise ArgumentTypeError(f"{given!r} is not a time such as 2026-12-24T18:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
