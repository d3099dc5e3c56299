"""Make a token for an account: a customer's, or the shop's own server's."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access.credentials import Scope
from access.management.new_accounts import account_asked_for
from access.models import LONGEST_TOKEN_DAYS, ApiToken
from sagas.cli_types import text, whole_number

MOST_DAYS: Final = 36_500


class Command(BaseCommand):
    help = (
        "Make a token for the API and print it, once: nobody can read it again. Run again it makes one"
        " more; earlier ones stay good until revoke_token or their end."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True, help="whose token it is")
        parser.add_argument(
            "--create-account", action="store_true", help="make the account if there is none"
        )
        parser.add_argument(
            "--name",
            type=text(100, at_least=0),
            default="",
            help="what it is for, for whoever lists tokens",
        )
        parser.add_argument(
            "--scope",
            dest="scopes",
            action="append",
            required=True,
            choices=Scope.values,
            help="may be given several times",
        )
        parser.add_argument(
            "--days",
            type=whole_number(0, MOST_DAYS),
            default=LONGEST_TOKEN_DAYS,
            help="how long it is good (default %(default)s); 0: until it is revoked",
        )

    @transaction.atomic
    def handle(
        self, *_: Any, username: str, name: str, scopes: Sequence[str], days: int, **given: Any
    ) -> None:
        if given["create_account"]:
            user = account_asked_for(username)
        elif (found := User.objects.filter(username=username).first()) is None:
            raise CommandError(f"There is no account {username}; see --create-account.")
        else:
            user = found
        wanted = {Scope(each) for each in scopes}
        token, secret = ApiToken.objects.issue(user, name=name, scopes=wanted, days=days or None)
        said = {"id": str(token.pk), "username": username, "name": name, "scopes": token.scopes}
        expires_at = token.expiry.isoformat() if token.expiry else None
        self.stdout.write(json.dumps({**said, "expires_at": expires_at, "token": secret}))
