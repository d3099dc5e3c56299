"""PostgreSQL and Valkey for one program, on free ports. They end with the program at the latest."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import postgres, valkey
from sandbox.ports import ReservedPort
from sandbox.process_lifetime import owned_environment

START_SECONDS = 180
STOP_SECONDS = 20
ATTEMPTS = 5

ROOT = Path(__file__).resolve().parent.parent


class StartFailed(Exception):
    """A server ended, or took too long, before it was ready; the message is its log."""


class EmbeddedServer:
    """One server as a child of this process, on a free port. It ends with this process at the latest."""

    def __init__(
        self, module: str, *arguments: str, log: Path, is_ready: Callable[[int, int], bool]
    ) -> None:
        """Start ``python -m module``, and wait until ``is_ready(port, pid)``. Raises StartFailed."""
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
        """Stop the server, by force after STOP_SECONDS, and wait until it has ended."""
        self._process.send_signal(
            signal.SIGINT
        )  # with SIGTERM PostgreSQL would wait for its clients
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
                start_new_session=True,  # Ctrl-C reaches only pytest, which then stops the servers
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
