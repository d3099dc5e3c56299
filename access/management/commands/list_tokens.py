"""List API tokens, without their secrets."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from access.models import ApiToken


class Command(BaseCommand):
    help = (
        "List API tokens, newest first: id, account, scopes, status and name. Changes nothing and"
        " shows no secret."
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
            columns = (
                str(token.pk),
                token.user.username,
                " ".join(token.scopes),
                token.status_text,
            )
            self.stdout.write("  ".join((*columns, token.name)).rstrip())
