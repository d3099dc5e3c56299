"""Show who has which tokens; none of them can be made of what is shown."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from access.models import ApiToken


class Command(BaseCommand):
    help = (
        "List tokens, the newest first: id, account, scopes, end and name of each. Changes nothing,"
        " and shows nothing that a token could be made of."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--username", help="of this account only")

    def handle(self, *_: Any, username: str | None, **__: Any) -> None:
        tokens = ApiToken.objects.select_related("user")
        if username is not None:
            if not User.objects.filter(username=username).exists():
                raise CommandError(f"There is no account {username}.")
            tokens = tokens.filter(user__username=username)
        for token in tokens.iterator():
            columns = (str(token.pk), token.user.username, " ".join(token.scopes), token.standing)
            self.stdout.write("  ".join((*columns, token.name)).rstrip())
