"""Workers to kill, and the shop that they work for."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from sandbox.procfile import ROOT
from sandbox.stripe_process import SandboxServer
from tests.conftest import Shelf
from tests.support.application_environment import environment_for
from tests.support.in_memory_broker import Message, MessageQueue
from tests.support.shop import IN_STOCK, Shop


class DyingWorkers:
    """Hands messages to processes that do not survive them."""

    def __init__(self, bank: SandboxServer, log: Path) -> None:
        self._log = log
        program = [sys.executable, "-m", "tests.support.crashing_worker"]
        with log.open("ab") as errors:
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "sandbox.process_lifetime", signal.SIGKILL.name, *program],
                cwd=ROOT,
                env=environment_for(bank),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def begin(self, message: Message, fatal_call: str = "") -> int:
        """Deliver ``message`` to a new worker that dies of one call, and return its process id."""
        order = {
            "run_id": str(message.run_id),
            "link": message.links[0].name,
            "fatal_call": fatal_call,
        }
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(json.dumps(order) + "\n")
        self._nursery.stdin.flush()
        return int(self._answer())

    def wait_for_death(self) -> None:
        """Return when the worker is gone; it must have been killed, and not have ended."""
        assert int(self._answer()) == -signal.SIGKILL, self._log.read_text()

    def stop(self) -> None:
        self._nursery.kill()
        self._nursery.communicate()

    def _answer(self) -> str:
        assert self._nursery.stdout is not None
        answer = self._nursery.stdout.readline()
        assert answer, self._log.read_text()
        return answer


@pytest.fixture(scope="module")
def workers(
    django_db_setup: None, sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DyingWorkers]:
    pool = DyingWorkers(sandbox, tmp_path_factory.mktemp("workers") / "log")
    yield pool
    pool.stop()


@pytest.fixture
def shop(customer: User, shelf: Shelf, bank: SandboxServer, messages: MessageQueue) -> Shop:
    shelf.put("MUG", IN_STOCK)
    shelf.put("TEE", IN_STOCK, price_minor=2500)
    return Shop(customer, bank, messages)
