"""The application's own commands, run beside the system and tied to whoever runs them."""

import subprocess
import sys
from collections.abc import Mapping

from sandbox.process_lifetime import owned_environment
from sandbox.procfile import ROOT


def manage(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py ...`` and return what it said. It ends with the thread that called."""
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
