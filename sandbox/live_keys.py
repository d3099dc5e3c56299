"""Refuses to do anything while a live-mode Stripe key is in the environment."""

import os
import re
import sys
from collections.abc import Mapping

_LIVE_KEY = re.compile(r"(?:^|[^A-Za-z0-9])(?:sk|rk)_live_|^[a-z]+_live_\w+$")

STATUS = 2


def live_keys(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that hold a live-mode key; never their values."""
    return sorted(name for name, value in environment.items() if _LIVE_KEY.search(value.strip()))


def refuse_live_keys(environment: Mapping[str, str]) -> None:
    """Exit with status 2 if a live-mode key is set: this project's commands never move real money."""
    names = live_keys(environment)
    if names:
        print(
            f"Refused: {', '.join(names)} holds a live-mode Stripe key. "
            "This project's commands must never move real money: unset it, "
            "or use a test-mode key (sk_test_...).",
            file=sys.stderr,
        )
        raise SystemExit(STATUS)


if __name__ == "__main__":
    refuse_live_keys(os.environ)
