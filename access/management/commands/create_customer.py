"""Make a customer who may order, and a token to do it with."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from access.management.new_accounts import account_asked_for
from access.models import ApiToken


class Command(BaseCommand):
    help = (
        "Create a customer unless there is one of this name, and print a new token for the API, once:"
        " nobody can read it again. Run again it makes one token more; earlier ones stay good."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True, help="what the customer is called")

    @transaction.atomic
    def handle(self, *_: Any, username: str, **__: Any) -> None:
        _stored, token = ApiToken.objects.issue(account_asked_for(username))
        self.stdout.write(json.dumps({"username": username, "token": token}))
