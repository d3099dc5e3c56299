"""Make a token for the shop's own server."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from access.accounts import account_named
from access.grants import Scope
from access.models import ApiToken


class Command(BaseCommand):
    help = "Print a new token with which the shop's server may act on every customer's orders."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True, help="the server's account, made if new")

    @transaction.atomic
    def handle(self, *_: Any, username: str, **__: Any) -> None:
        account = account_named(username)
        _stored, token = ApiToken.objects.issue(account, name="shop", scopes=list(Scope))
        self.stdout.write(json.dumps({"username": username, "token": token}))
