"""End a token, by its id as list_tokens shows it."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from access.models import ApiToken


class Command(BaseCommand):
    help = "End a token from now on. Asked again, it changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=UUID)
        parser.add_argument("--reason", required=True)

    def handle(self, *_: Any, id: UUID, reason: str, **__: Any) -> None:  # noqa: A002 - the argument's name
        token = ApiToken.objects.filter(pk=id)
        if ApiToken.objects.revoke(token, reason=reason, actor="command line"):
            self.stdout.write(f"{id} is revoked.")
        elif token.exists():
            self.stdout.write(f"{id} was revoked before.")
        else:
            raise CommandError(f"There is no token {id}.")
