"""Workers as processes that are killed by SIGKILL in the middle of a message.

``worker_process_main`` is the program that they run. Workers as threads, which a test can also
pause, are in ``worker_threads``.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

from sandbox.procfile import ROOT
from sandbox.stripe_process import SandboxServer
from tests.support.application_environment import environment_for
from tests.support.in_memory_broker import Message


class WorkerProcesses:
    """Gives each message to a new worker process, which is killed in the middle of it."""

    def __init__(self, sandbox_stripe: SandboxServer, log: Path) -> None:
        self._log = log
        program = [sys.executable, "-m", "tests.support.worker_process_main"]
        with log.open("ab") as errors:
            self._forker = subprocess.Popen(
                [sys.executable, "-m", "sandbox.process_lifetime", signal.SIGKILL.name, *program],
                cwd=ROOT,
                env=environment_for(sandbox_stripe),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def begin(self, message: Message, fatal_call: str = "") -> int:
        """Deliver ``message`` to a new worker, which dies before its call of ``fatal_call``.

        Returns the worker's process id.
        """
        task = {
            "run_id": str(message.run_id),
            "link": message.links[0].name,
            "fatal_call": fatal_call,
        }
        assert self._forker.stdin is not None
        self._forker.stdin.write(json.dumps(task) + "\n")
        self._forker.stdin.flush()
        return int(self._read_line())

    def wait_for_death(self) -> None:
        """Return when the worker is dead. Fails when it ended otherwise than by SIGKILL."""
        assert int(self._read_line()) == -signal.SIGKILL, self._log.read_text()

    def stop(self) -> None:
        self._forker.kill()
        self._forker.communicate()

    def _read_line(self) -> str:
        assert self._forker.stdout is not None
        line = self._forker.stdout.readline()
        assert line, self._log.read_text()
        return line
