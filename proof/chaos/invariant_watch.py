"""Checks the safety invariants every few seconds during a chaos run."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sandbox.process_lifetime import owned_environment
from sandbox.procfile import ROOT

EVERY: Final = 10.0  # seconds
COMMAND: Final = ("manage.py", "check_invariants", "--safety", "--no-provider", "--json")
CLEAN: Final = 0
FOUND: Final = 1


class InvariantWatch:
    """Runs `check_invariants` in a process of its own, directly on the database.

    It works inside ``with``; its figures are final after that.
    """

    def __init__(self, environment: Mapping[str, str], log: Path, began: float) -> None:
        self._environment = owned_environment(environment)
        self._log = log
        self._began = began
        self._stopped = threading.Event()
        self._working = threading.Thread(target=self._work, daemon=True)
        self._checks = 0
        self._failed = 0
        self.findings: list[str] = []

    def __enter__(self) -> Self:
        self._working.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._working.join()

    def figures(self) -> dict[str, Any]:
        """Return how often it checked, and how often the database was unavailable."""
        return {
            "invariant_checks": self._checks + 1,  # with the one at the end
            "invariant_checks_without_a_database": self._failed,
        }

    def _work(self) -> None:
        with self._log.open("w") as log:
            while not self._stopped.wait(EVERY):
                finished = subprocess.run(
                    [
                        sys.executable,
                        "-m",
                        "sandbox.process_lifetime",
                        "SIGKILL",
                        sys.executable,
                        *COMMAND,
                    ],
                    cwd=ROOT,
                    env=self._environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                self._note(finished)
                at = round(time.monotonic() - self._began, 3)
                log.write(json.dumps({"at": at, "status": finished.returncode}) + "\n")
                log.flush()

    def _note(self, finished: subprocess.CompletedProcess[str]) -> None:
        if finished.returncode == CLEAN:
            self._checks += 1
        elif finished.returncode == FOUND and finished.stdout:  # a failed command has no output
            self._checks += 1
            self.findings += map(str, json.loads(finished.stdout)["findings"])
        else:
            self._failed += 1
