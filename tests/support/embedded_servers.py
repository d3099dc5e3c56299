"""Pytest plugin: starts PostgreSQL and Valkey for the session before Django reads its settings.

One PostgreSQL serves the session, with a test database for each xdist worker. Each process has a
Valkey of its own, so that a test may flush or kill its broker.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from sandbox import postgres, valkey
from sandbox.embedded_servers import start_postgres, start_valkey
from sandbox.environment import given_addresses, is_external, placeholders, without_addresses
from sandbox.live_keys import refuse_live_keys
from tests.support.outside_connections import refuse_outside_connections


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    refuse_live_keys(os.environ)
    if not is_external(os.environ):
        early_config.add_cleanup(refuse_outside_connections())
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        _forget_addresses()
    folder = Path(tempfile.mkdtemp(prefix="holdfast-tests-"))
    folder.chmod(0o711)  # PostgreSQL may run under another account
    early_config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))

    if "DATABASE_URL" not in os.environ:
        server = start_postgres(folder)
        early_config.add_cleanup(server.stop)
        os.environ["DATABASE_URL"] = postgres.database_url(folder / "postgres", server.port)
    if not is_external(os.environ) or "REDIS_URL" not in os.environ:
        broker = start_valkey(folder)
        early_config.add_cleanup(broker.stop)
        os.environ["REDIS_URL"] = valkey.redis_url(broker.port)
    elif worker is not None:
        os.environ["REDIS_KEY_PREFIX"] = f"holdfast-tests-{worker}:"
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "destructive: flushes, kills or injects faults; left out with EXTERNAL=1"
    )
    config.addinivalue_line(
        "markers", "prove: plays many runs; `make prove` runs it, `make test` does not"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not is_external(os.environ):
        return
    kept = [item for item in items if item.get_closest_marker("destructive") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def _forget_addresses() -> None:
    """Remove all addresses but those that EXTERNAL=1 gives, and set what the settings require."""
    environment = {
        **placeholders(),
        **without_addresses(os.environ),
        **given_addresses(os.environ),
    }
    for server in ("DATABASE_URL", "REDIS_URL"):  # started here unless they are given
        if server not in given_addresses(os.environ):
            del environment[server]
    environment["SECRET_KEY"] = secrets.token_hex(32)
    environment["INSTALLATION_ID"] = "tests"
    environment["SERVE"] = "both"
    environment["DEBUG"] = "0"
    environment["HTTPS"] = "0"
    environment["DESK_REQUIRES_MFA"] = "0"  # the tests of the login set it
    environment["THROTTLING"] = environment["MAX_OPEN_ORDERS"] = "0"
    environment["PAYMENT_GRACE_SECONDS"] = "0"  # the tests of waiting orders set it
    environment["ALLOWED_HOSTS"] = "127.0.0.1,localhost,testserver"
    os.environ.clear()
    os.environ.update(environment)
