"""Runs the application's commands on a running system. They end with the program that runs them."""

import subprocess
import sys
from collections.abc import Mapping

from sandbox.process_lifetime import owned_environment
from sandbox.procfile import ROOT


def manage(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py ...``, and return its output. It is killed if the calling thread ends."""
    tied = [sys.executable, "-m", "sandbox.process_lifetime", "SIGKILL"]
    return subprocess.run(
        [*tied, sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=owned_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
