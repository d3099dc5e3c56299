"""Creates the groups of the roles that ship, with their permissions."""

from typing import Any

from django.contrib.auth.models import Permission
from django.core.management.base import BaseCommand, CommandError

from desk.roles import synchronise


class Command(BaseCommand):
    help = (
        "Create the groups operator, finance and viewer of desk/roles.py, and add their missing"
        " permissions. Extra permissions and members stay. Run it at each deploy, after migrate."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        try:
            added = synchronise()
        except Permission.DoesNotExist as error:
            raise CommandError("permissions are missing: run manage.py migrate first") from error
        for role, missing in added.items():
            self.stdout.write(f"{role}: {len(missing)} permissions added")
