"""Get or create an account named on a command line."""

import re

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from access.accounts import USERNAME, get_or_create_account


def account_from_command_line(username: str) -> User:
    """Get or create the account. Raises CommandError for an invalid name of a new account."""
    if not User.objects.filter(username=username).exists() and not re.fullmatch(USERNAME, username):
        raise CommandError(
            "--username: a new username has 1 to 150 letters, digits and _.@+-",
            returncode=2,
        )
    return get_or_create_account(username)
