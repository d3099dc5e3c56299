"""Make a customer who may order, and a token to do it with."""

import json
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction
from knox.models import AuthToken


class Command(BaseCommand):
    help = "Create a customer unless there is one of this name; print a new token for the API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", required=True)

    @transaction.atomic
    def handle(self, *_: Any, username: str, **__: Any) -> None:
        customer, is_new = get_user_model().objects.get_or_create(username=username)
        if is_new:
            customer.set_unusable_password()
            customer.save(update_fields=["password"])
        _stored, token = AuthToken.objects.create(customer)
        self.stdout.write(json.dumps({"username": username, "token": token}))
