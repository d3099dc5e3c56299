"""The accounts that call, or are called for: Django's users."""

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User


def account_named(username: str) -> User:
    """Return the user of this name, made without a password when there is none.

    Safe to call at the same moment for the same name: there is one account then.
    """
    account, _ = User.objects.get_or_create(
        username=username, defaults={"password": make_password(None)}
    )
    return account
