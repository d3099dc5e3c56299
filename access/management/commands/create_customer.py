"""Make a customer who may order, and a token to do it with."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from access.accounts import account_named
from access.models import ApiToken


class Command(BaseCommand):
    help = "Create a customer unless there is one of this name; print a new token for the API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True)

    @transaction.atomic
    def handle(self, *_: Any, username: str, **__: Any) -> None:
        _stored, token = ApiToken.objects.issue(account_named(username))
        self.stdout.write(json.dumps({"username": username, "token": token}))
