"""Create an API token for a customer or for the shop's server."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access.credentials import Scope
from access.management.new_accounts import account_from_command_line
from access.models import MAX_TOKEN_DAYS, ApiToken
from sagas.cli_types import text, whole_number

MAX_DAYS: Final = 36_500


class Command(BaseCommand):
    help = (
        "Create an API token and print it. The token is shown only once. Each run creates another"
        " token; earlier ones stay valid until they expire or are revoked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True, help="the account of the token")
        parser.add_argument(
            "--create-account", action="store_true", help="create the account if it does not exist"
        )
        parser.add_argument(
            "--name",
            type=text(100, at_least=0),
            default="",
            help="the purpose of the token; list_tokens shows it",
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
            type=whole_number(0, MAX_DAYS),
            default=MAX_TOKEN_DAYS,
            help="days until it expires (default %(default)s); 0: never",
        )

    @transaction.atomic
    def handle(
        self, *_: Any, username: str, name: str, scopes: Sequence[str], days: int, **options: Any
    ) -> None:
        if options["create_account"]:
            user = account_from_command_line(username)
        elif (found := User.objects.filter(username=username).first()) is None:
            raise CommandError(f"There is no account {username}; see --create-account.")
        else:
            user = found
        granted = {Scope(scope) for scope in scopes}
        token, secret = ApiToken.objects.issue(user, name=name, scopes=granted, days=days or None)
        output = {"id": str(token.pk), "username": username, "name": name, "scopes": token.scopes}
        expires_at = token.expiry.isoformat() if token.expiry else None
        self.stdout.write(json.dumps({**output, "expires_at": expires_at, "token": secret}))
