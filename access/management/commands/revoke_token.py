"""End a token, by its id as list_tokens shows it."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from access.models import ApiToken
from access.os_user import user_of_this_shell
from sagas.cli_types import text


class Command(BaseCommand):
    help = (
        "End a token from now on, and keep who did so and why. Asked again, it changes nothing. The"
        " account and its other tokens stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=UUID, help="as list_tokens shows it")
        parser.add_argument(
            "--reason", type=text(255), required=True, help="kept with the token and your name"
        )

    def handle(self, *_: Any, id: UUID, reason: str, **__: Any) -> None:  # noqa: A002 - the argument's name
        token = ApiToken.objects.filter(pk=id)
        if ApiToken.objects.revoke(token, reason=reason, actor=user_of_this_shell().get_username()):
            self.stdout.write(f"{id} is revoked.")
        elif token.exists():
            self.stdout.write(f"{id} was revoked before.")
        else:
            raise CommandError(f"There is no token {id}.")
