"""Fills an empty database for the all-in-one run. Run again, it keeps what is there."""

import io
import json
import signal
import sys

import django
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from sandbox.application import ADMIN, CUSTOMER, OPERATOR, OPERATORS, SHOP
from sandbox.database_mark import mark_database
from sandbox.process_lifetime import die_with_owner


def create_staff(name: str, password: str, *, role: str = "", is_superuser: bool = False) -> None:
    """Create a staff account, or set the password of an existing one."""
    staff, _ = get_user_model().objects.get_or_create(username=name)
    staff.is_staff, staff.is_superuser = True, is_superuser
    staff.set_password(password)
    staff.save()
    staff.groups.set(apps.get_model("auth", "Group").objects.filter(name=role))


def create_token(username: str, *scopes: str, name: str = "sandbox") -> str:
    """Return a new token for an account. Creates the account if it does not exist."""
    printed = io.StringIO()
    options = (f"--username={username}", *(f"--scope={scope}" for scope in scopes))
    call_command("create_token", *options, "--create-account", f"--name={name}", stdout=printed)
    return str(json.loads(printed.getvalue())["token"])


def declared_settings() -> list[str]:
    """Return the names of all variables that the application reads from its environment."""
    return [variable.name for section in settings.CONFIGURATION for variable in section.variables]


def main() -> None:
    """Run ``python -m sandbox.prepare``: all steps in one process, because each start takes seconds."""
    die_with_owner(signal.SIGKILL)
    options = json.load(sys.stdin)
    django.setup()
    for command in ("migrate", "synchronise_schedule", "synchronise_roles", "load_catalogue"):
        call_command(command, stdout=sys.stderr)
    if options["is_own_database"]:
        mark_database(options["clocks"])
    if options["refill"]:
        call_command("load_catalogue", refill=True, stdout=sys.stderr)
    create_staff(ADMIN, options["admin_password"], is_superuser=True)
    create_staff(OPERATOR, options["operator_password"], role=OPERATORS)
    tokens = {
        # The demo keeps this token for itself: people can revoke the others.
        "own_token": create_token(CUSTOMER, "orders:read", "orders:write", name="sandbox itself"),
        "customer_token": create_token(CUSTOMER, "orders:read", "orders:write"),
        "shop_token": create_token(SHOP, "orders:read", "orders:write", "shop"),
    }
    print(json.dumps({**tokens, "settings": declared_settings()}))


if __name__ == "__main__":
    main()
