"""Ids and secrets in Stripe's form; random, so that a new ledger never repeats an old one's."""

import secrets


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
