"""Fills an empty database for the all-in-one run; run again, it changes nothing that is there."""

import io
import json
import signal
import sys

import django
from django.contrib.auth import get_user_model
from django.core.management import call_command

from sandbox.application import ADMIN, CUSTOMER
from sandbox.owned import die_with_owner


def create_admin(password: str) -> None:
    """Make the demo's administrator, or give the one that exists the run's password."""
    users = get_user_model()
    admin, _ = users.objects.get_or_create(
        username=ADMIN, defaults={"is_staff": True, "is_superuser": True}
    )
    admin.set_password(password)
    admin.save(update_fields=["password"])


def create_customer() -> str:
    """Return a fresh token of the demo's customer."""
    printed = io.StringIO()
    call_command("create_customer", username=CUSTOMER, stdout=printed)
    return str(json.loads(printed.getvalue())["token"])


def main() -> None:
    """Run ``python -m sandbox.prepare``: all steps in one process, since each costs a start."""
    die_with_owner(signal.SIGKILL)
    wishes = json.load(sys.stdin)
    django.setup()
    for command in ("migrate", "synchronise_schedule", "load_catalogue"):
        call_command(command, stdout=sys.stderr)
    create_admin(wishes["admin_password"])
    print(json.dumps({"customer_token": create_customer()}))


if __name__ == "__main__":
    main()
