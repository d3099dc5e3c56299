"""Runs a service of the sandbox as a process: starts, controls, kills and restarts it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3

from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.process_lifetime import owned_environment

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class ServiceFailed(Exception):
    """The service did not start, ended with a wrong status, or rejected a control request."""


class ServiceProcess(ABC):
    """One process that serves HTTP on the loopback interface. ``url`` stays the same over restarts.

    Create it in the main thread: the process ends with the thread that started it.
    Fault rules, held calls and the call log are lost with the process.
    """

    def __init__(self, name: str, directory: Path, *, seed: int = 0) -> None:
        self.name = name
        self._port_file = directory / f"{name}-port"
        self._log_path = directory / f"{name}-sandbox.log"
        self._seed = seed
        self._port = ReservedPort()
        self._http = urllib3.PoolManager(retries=False)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port.number}"

    @property
    def pid(self) -> int:
        return self._running().pid

    def connect(self) -> socket.socket:
        """Return a TCP connection, for requests that no HTTP client would send."""
        return socket.create_connection((LOOPBACK, self._port.number), timeout=10)

    @abstractmethod
    def program(self) -> list[str]:
        """Return the module to run, and the options of this kind of service."""

    @abstractmethod
    def records(self) -> list[str]:
        """Return everything that the service has recorded, one text for each record."""

    def start(self) -> None:
        self._port_file.unlink(missing_ok=True)
        program = [sys.executable, "-m", *self.program()]
        options = {
            "--port": self._port.number,
            "--port-file": self._port_file,
            "--seed": self._seed,
        }
        owned = [sys.executable, "-m", "sandbox.process_lifetime", signal.SIGKILL.name, *program]
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*owned, *(str(part) for option in options.items() for part in option)],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=owned_environment(os.environ),
                start_new_session=True,
            )
        self._wait_until_it_listens()

    def stop(self) -> None:
        """Stop it with SIGTERM. Raises ServiceFailed if it does not exit with 0."""
        self._end(signal.SIGTERM, expected=0)
        self._port.close()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._end(signal.SIGKILL, expected=-signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port; stop it first if it is running."""
        self._end(signal.SIGTERM, expected=0)
        self.start()

    def add_fault(self, operation: str, fault: str, **rule: Any) -> int:
        """Add a fault rule, and return its id; ``rule`` is match, rate, times, latency_ms, note."""
        described = {"operation": operation, "fault": fault, **rule}
        return int(self.control("POST", "faults", described)["id"])

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def release(self, rule: int) -> int:
        """Continue the calls that a rule holds. Returns their number."""
        return int(self.control("POST", "release", {"rule": rule})["released"])

    def held(self, rule: int) -> int:
        """Return how many calls a rule holds now."""
        return self._count(rule, "held")

    def hits(self, rule: int) -> int:
        """Return how many calls a rule has hit so far."""
        return self._count(rule, "hits")

    def ledger(self) -> dict[str, Any]:
        """Return all that the service has recorded, oldest first, and its time as ``now``."""
        return self.control("GET", "ledger")

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the calls after number ``since``, oldest first."""
        calls: list[dict[str, Any]] = self.control("GET", f"calls?since={since}")["calls"]
        return calls

    def start_over(self) -> None:
        """Forget every object, key, fault and call, and reset the clock."""
        self.control("DELETE", "ledger")

    def advance(self, seconds: int) -> None:
        self.control("POST", "clock", {"advance_seconds": seconds})

    def set_latency(self, milliseconds: int) -> None:
        self.control("POST", "latency", {"ms": milliseconds})

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self._http.request(method, f"{self.url}/_sandbox/{path}", json=body)
        content: dict[str, Any] = response.json()
        if response.status != HTTPStatus.OK:
            raise ServiceFailed(content)
        return content

    def _count(self, rule_id: int, name: str) -> int:
        rules = self.control("GET", "faults")["rules"]
        return int(next(rule[name] for rule in rules if rule["id"] == rule_id))

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        pause = threading.Event()
        while not self._port_file.exists():
            if self._running().poll() is not None or time.monotonic() > deadline:
                raise ServiceFailed(self._log_path.read_text())
            pause.wait(0.01)

    def _end(self, signum: signal.Signals, *, expected: int) -> None:
        if self._process is None:
            return
        self._http.clear()
        self._process.send_signal(signum)
        status = self._process.wait(STOP_SECONDS)
        self._process = None
        if status != expected:
            raise ServiceFailed(self._log_path.read_text())

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise ServiceFailed("the process was stopped")
        return self._process
