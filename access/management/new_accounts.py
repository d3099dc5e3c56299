"""Accounts that a person asks for by name, at a command line."""

import re

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from access.accounts import USERNAME, account_named


def account_asked_for(username: str) -> User:
    """Return the account of this name, made when there is none; a new one has a name of some sense."""
    if not User.objects.filter(username=username).exists() and not re.fullmatch(USERNAME, username):
        raise CommandError(
            "--username: a new account's has 1 to 150 letters, digits and signs of _.@+-",
            returncode=2,
        )
    return account_named(username)
