"""Pytest plugin: PostgreSQL and Valkey of the session's own, there before Django reads its settings.

One PostgreSQL serves the whole session, with a test database for each xdist worker. Valkey is one
per process, so that a test may flush or kill its broker without its neighbours noticing.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from sandbox import postgres, valkey
from sandbox.environment import given_addresses, is_external, without_addresses
from sandbox.live_keys import refuse_live_keys
from sandbox.owned import owned_environment
from sandbox.ports import ReservedPort

START_SECONDS = 60
STOP_SECONDS = 20
ATTEMPTS = 5

ROOT = Path(__file__).resolve().parent.parent


class StartFailed(Exception):
    """A server ended, or kept silent, before it was ready; the message is its log."""


class EmbeddedServer:
    """One server in the foreground of this process, on a free port, stopped with it at the latest."""

    def __init__(
        self, module: str, *arguments: str, log: Path, is_ready: Callable[[int, int], bool]
    ) -> None:
        """Start ``python -m module``; ``is_ready`` is asked with the port and the process id."""
        self.log = log
        for _ in range(ATTEMPTS):
            self._port = ReservedPort()
            self._process = self._launch(module, arguments)
            if self._wait_until(is_ready):
                return
            self.stop()
        raise StartFailed(f"{module}, {ATTEMPTS} times\n{log.read_text()}")

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end, insist after a while, and wait until it is gone."""
        self._process.send_signal(signal.SIGINT)  # PostgreSQL takes SIGTERM as "when all have left"
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._port.close()

    def _launch(self, module: str, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module, *arguments, "--port", str(self.port)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=owned_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches pytest alone, which then stops us in order
            )

    def _wait_until(self, is_ready: Callable[[int, int], bool]) -> bool:
        deadline = time.monotonic() + START_SECONDS
        pause = threading.Event()
        while self._process.poll() is None and time.monotonic() < deadline:
            if is_ready(self.port, self.pid):
                return True
            pause.wait(0.02)
        return False


def start_postgres(folder: Path) -> EmbeddedServer:
    data = folder / "postgres"
    return EmbeddedServer(
        "sandbox.postgres",
        "--data",
        str(data),
        "--disposable",
        log=folder / "postgres.log",
        is_ready=lambda _, pid: postgres.is_ready(data, pid),
    )


def start_valkey(folder: Path) -> EmbeddedServer:
    return EmbeddedServer("sandbox.valkey", log=folder / "valkey.log", is_ready=valkey.is_ready)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    refuse_live_keys(os.environ)
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not is_external(os.environ):
        return
    kept = [item for item in items if item.get_closest_marker("destructive") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def _forget_addresses() -> None:
    """Leave only what EXTERNAL=1 asks for, and give the settings what they cannot do without."""
    environment = {**without_addresses(os.environ), **given_addresses(os.environ)}
    environment.setdefault("STRIPE_API_KEY", "sk_test_nothing_listens")
    environment.setdefault("STRIPE_API_BASE", "http://127.0.0.1:9")  # a stray call goes nowhere
    environment["SECRET_KEY"] = secrets.token_hex(32)
    environment["INSTALLATION_ID"] = "tests"
    environment["DEBUG"] = "0"
    environment["ALLOWED_HOSTS"] = "127.0.0.1,localhost,testserver"
    os.environ.clear()
    os.environ.update(environment)
