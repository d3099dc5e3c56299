"""Ends a process when the process that started it (its owner) ends, however it ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

# The owner puts its process id here. The id of the parent is not enough: it changes when the owner
# has died before the child looks.
OWNER = "HOLDFAST_OWNER"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def owned_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a child that must end with this process."""
    return {**environment, OWNER: str(os.getpid())}


def die_with_owner(signum: signal.Signals) -> None:
    """Make the kernel send ``signum`` to this process when the owner ends.

    The kernel keeps this over ``exec`` and drops it when the user changes: call it after the last
    change of user. Exits if the owner has ended already.
    """
    owner = os.environ.get(OWNER)
    ask_kernel_for_death_signal(signum)
    if owner is not None and os.getppid() != int(owner):
        sys.exit(f"the process that started this one ({owner}) has ended")
    os.environ[OWNER] = str(os.getpid())


def ask_kernel_for_death_signal(signum: signal.Signals) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signum.value) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent ends; otherwise init would."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def kill_children() -> None:
    """Kill and reap this process's children and adopted orphans until none is left."""
    listing = Path("/proc/thread-self/children")
    while children := listing.read_text().split():
        for pid in map(int, children):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> None:
    """Run ``python -m sandbox.process_lifetime SIGNAL COMMAND...``: become a command that ends with its owner."""
    signum, *command = sys.argv[1:]
    die_with_owner(signal.Signals[signum])
    os.execvp(command[0], command)  # noqa: S606 - a shell would be a process between this one and the owner


if __name__ == "__main__":
    main()
