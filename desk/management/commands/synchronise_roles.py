"""Write the roles that ship into Django's groups."""

from typing import Any

from django.core.management.base import BaseCommand

from desk.roles import synchronise


class Command(BaseCommand):
    help = "Bring the groups operator, finance and viewer up to desk/roles.py; keeps what a shop added."

    def handle(self, *_: Any, **__: Any) -> None:
        for role, missing in synchronise().items():
            self.stdout.write(f"{role}: {len(missing)} permissions added")
