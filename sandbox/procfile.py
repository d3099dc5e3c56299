"""The processes of the Procfile. Run as a program, it becomes one of them."""

import os
import shlex
import signal
import string
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox.process_lifetime import die_with_owner

ROOT = Path(__file__).resolve().parent.parent
RELEASE = "release"  # runs once before the others start
ENV = "/usr/bin/env"


def processes(text: str) -> dict[str, str]:
    """Parse a Procfile: return the command line of each process by its name."""
    lines = (line.partition(":") for line in text.splitlines() if line.strip())
    return {name.strip(): command.strip() for name, _, command in lines}


def declared() -> dict[str, str]:
    """Return the long-running processes, all but ``release``."""
    found = processes((ROOT / "Procfile").read_text())
    del found[RELEASE]
    return found


def arguments(command: str, environment: Mapping[str, str]) -> list[str]:
    """Split a command line as a shell does, and make it run with the present Python interpreter.

    Console scripts run as modules: their first line cannot hold an interpreter's path that is long or
    has spaces. ``env NAME=value`` at the start stays in front.
    """
    words = [string.Template(word).substitute(environment) for word in shlex.split(command)]
    if words[0] == "env":
        start = next(at for at, word in enumerate(words[1:], 1) if "=" not in word)
        return [ENV, *words[1:start], *_by_this_python(words[start:])]
    return _by_this_python(words)


def _by_this_python(words: list[str]) -> list[str]:
    if words[0] == "python":
        return [sys.executable, *words[1:]]
    return [sys.executable, "-m", *words]


def main() -> None:
    """Run ``python -m sandbox.procfile NAME``: become that process, in the project's folder."""
    command = declared()[sys.argv[1]]
    os.chdir(ROOT)
    # PostgreSQL shows this name in its log and in pg_stat_activity.
    os.environ["PGAPPNAME"] = sys.argv[1]
    # The system survives the loss of a process at any moment, so SIGKILL is safe. With SIGTERM a
    # worker might wait for a broker that is ending too.
    die_with_owner(signal.SIGKILL)
    words = arguments(command, os.environ)
    os.execv(words[0], words)  # noqa: S606 - the supervisor knows this pid


if __name__ == "__main__":
    main()
