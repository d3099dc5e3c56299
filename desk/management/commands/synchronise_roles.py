"""Write the roles that ship into Django's groups."""

from typing import Any

from django.contrib.auth.models import Permission
from django.core.management.base import BaseCommand, CommandError

from desk.roles import synchronise


class Command(BaseCommand):
    help = (
        "Bring the groups operator, finance and viewer up to desk/roles.py. Permissions that a shop"
        " added to them, and who is in them, stay. For each deploy, after migrate."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        try:
            added = synchronise()
        except Permission.DoesNotExist as error:
            raise CommandError("permissions are missing: run manage.py migrate first") from error
        for role, missing in added.items():
            self.stdout.write(f"{role}: {len(missing)} permissions added")
