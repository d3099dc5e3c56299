"""Ids and secrets in Stripe's format. They are random, so that a new ledger repeats no old id."""

import secrets


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
