"""Create a customer and an API token."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from access.management.new_accounts import account_from_command_line
from access.models import ApiToken


class Command(BaseCommand):
    help = (
        "Get or create a customer, and print a new API token. The token is shown only once. Each run"
        " creates another token; earlier ones stay valid."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True, help="the customer's username")

    @transaction.atomic
    def handle(self, *_: Any, username: str, **__: Any) -> None:
        _stored, token = ApiToken.objects.issue(account_from_command_line(username))
        self.stdout.write(json.dumps({"username": username, "token": token}))
