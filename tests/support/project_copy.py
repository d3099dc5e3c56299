"""A copy of the project in another folder, in which the all-in-one run is started and ended."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox.embedded_servers import ROOT
from tests.support.processes import processes_of
from tests.support.waits import PATIENCE_SECONDS, wait_until

_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "*.pyc.*", ".*_cache", ".hypothesis")
# Compiled files are copied, too: a run starts a dozen processes, and each would compile all modules.

UP_SECONDS = 400  # the start, and one group of the demo with its checks, on a busy machine


class ProjectCopy:
    """A copy of the project that can be started and ended, again and again with the same data."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ROOT, folder, ignore=_LEFT_OUT)
        self.folder = folder
        self.published = folder / "var" / "up.json"
        self.launcher: subprocess.Popen[bytes]
        self._log = folder / "launcher.log"

    def start(self, *arguments: str, **variables: str) -> None:
        """Run Python with these arguments until the system is up. Fails if it ends before that."""
        with self._log.open("wb") as log:
            self.launcher = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env={**os.environ, **variables},
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(lambda: self.is_up() or not self.is_running(), "it is up", UP_SECONDS)
            assert self.is_up(), self.output
        except BaseException:
            self.end()
            raise

    def is_up(self) -> bool:
        return "Ctrl-C stops everything" in self.output

    def is_running(self) -> bool:
        return self.launcher.poll() is None

    @property
    def output(self) -> str:
        """Return what the launcher has printed since its last start."""
        return self._log.read_text()

    @property
    def up_json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.published.read_text())
        return content

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m sandbox`` with these arguments, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "sandbox", *arguments],
            cwd=self.folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self) -> dict[int, str]:
        """Return the command line of every process of the run, by its pid."""
        secrets = json.loads((self.folder / "var" / "up" / "secrets.json").read_text())
        return processes_of(self.folder, secrets["installation_id"])

    def kill(self) -> None:
        """End the launcher with SIGKILL, and wait until every process of its run has ended."""
        self.launcher.kill()
        self.launcher.wait(PATIENCE_SECONDS)
        wait_until(lambda: self.processes() == {}, "every process ends")

    def end(self, signum: signal.Signals = signal.SIGINT) -> int:
        """Send the launcher a signal unless it has ended. Returns its exit status."""
        if self.is_running():
            self.launcher.send_signal(signum)
        return self.launcher.wait(PATIENCE_SECONDS)
