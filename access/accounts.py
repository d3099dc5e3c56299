"""Accounts of customers: Django's users."""

from typing import Final

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User

USERNAME: Final = r"^[A-Za-z0-9_.@+-]{1,150}$"
"""A customer's name: the ASCII part of Django's usernames, so that no two names look alike."""


class AccountBlocked(Exception):
    """The customer's account is blocked."""

    def __init__(self, username: str) -> None:
        super().__init__(f"The customer {username} is blocked.")


def get_or_create_account(username: str) -> User:
    """Get or create the user with this name; a new one has no password.

    Concurrent calls with one name create one account.
    """
    account, _ = User.objects.get_or_create(
        username=username, defaults={"password": make_password(None)}
    )
    return account


def get_or_create_customer(username: str) -> User:
    """Get or create the customer with this name. Raises AccountBlocked."""
    account = get_or_create_account(username)
    if not account.is_active:
        raise AccountBlocked(username)
    return account
