"""The environment of other processes that work on this test's database and the sandbox's services."""

import os
from urllib.parse import urlsplit

from django.db import connection

from sandbox.process_lifetime import owned_environment
from sandbox.stripe_process import SandboxServer
from tests.support.outside_services import declared_addresses


def environment_for(sandbox_stripe: SandboxServer) -> dict[str, str]:
    """Return the environment of a process that uses the *test* database and ends with this one."""
    name = str(connection.settings_dict["NAME"])
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}")
    return {
        **owned_environment(os.environ),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": database.geturl(),
        "STRIPE_API_BASE": sandbox_stripe.url,
        "STRIPE_API_KEY": "sk_test_sandbox",
        "STRIPE_CALLS_PER_SECOND": "0",
        **declared_addresses(),
        "PYTHONUNBUFFERED": "1",
    }
