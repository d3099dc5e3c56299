"""The accounts that call, or are called for: Django's users."""

from typing import Final

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User

USERNAME: Final = r"^[A-Za-z0-9_.@+-]{1,150}$"
"""What a shop may call a customer: of Django's usernames those that look like nobody else's."""


class AccountBlocked(Exception):
    """The customer is known, and may not buy."""

    def __init__(self, username: str) -> None:
        super().__init__(f"The customer {username} is blocked.")


def account_named(username: str) -> User:
    """Return the user of this name, made without a password when there is none.

    Safe to call at the same moment for the same name: there is one account then.
    """
    account, _ = User.objects.get_or_create(
        username=username, defaults={"password": make_password(None)}
    )
    return account


def customer_named(username: str) -> User:
    """Return the account of this name, made when there is none. Raises AccountBlocked."""
    account = account_named(username)
    if not account.is_active:
        raise AccountBlocked(username)
    return account
