"""Make a token for an account: a customer's, or the shop's own server's."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access.accounts import account_named
from access.grants import Scope
from access.models import LONGEST_TOKEN_DAYS, ApiToken


class Command(BaseCommand):
    help = "Print a new token for the API, which nobody can read again afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True)
        parser.add_argument(
            "--create-account", action="store_true", help="make the account if there is none"
        )
        parser.add_argument("--name", default="", help="what it is for, for whoever lists tokens")
        parser.add_argument(
            "--scope",
            dest="scopes",
            action="append",
            required=True,
            choices=Scope.values,
            help="may be given several times",
        )
        parser.add_argument(
            "--days", type=int, default=LONGEST_TOKEN_DAYS, help="0: good until it is revoked"
        )

    @transaction.atomic
    def handle(
        self, *_: Any, username: str, name: str, scopes: Sequence[str], days: int, **given: Any
    ) -> None:
        if days < 0:
            raise CommandError("--days: at least 0")
        if given["create_account"]:
            user = account_named(username)
        elif (found := User.objects.filter(username=username).first()) is None:
            raise CommandError(f"There is no account {username}; see --create-account.")
        else:
            user = found
        wanted = {Scope(each) for each in scopes}
        token, secret = ApiToken.objects.issue(user, name=name, scopes=wanted, days=days or None)
        said = {"id": str(token.pk), "username": username, "name": name, "scopes": token.scopes}
        expires_at = token.expiry.isoformat() if token.expiry else None
        self.stdout.write(json.dumps({**said, "expires_at": expires_at, "token": secret}))
