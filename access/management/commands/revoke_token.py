"""Revoke an API token by its id."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from access.models import ApiToken
from access.os_user import user_of_this_shell
from sagas.cli_types import text


class Command(BaseCommand):
    help = (
        "Revoke an API token, and store who did it and why. A repeated call changes nothing. The"
        " account and its other tokens stay valid."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=UUID, help="the id that list_tokens shows")
        parser.add_argument(
            "--reason",
            type=text(255),
            required=True,
            help="stored with the token and your username",
        )

    def handle(self, *_: Any, id: UUID, reason: str, **__: Any) -> None:  # noqa: A002 - the argument's name
        token = ApiToken.objects.filter(pk=id)
        if ApiToken.objects.revoke(token, reason=reason, actor=user_of_this_shell().get_username()):
            self.stdout.write(f"{id} is revoked.")
        elif token.exists():
            self.stdout.write(f"{id} was revoked before.")
        else:
            raise CommandError(f"There is no token {id}.")
