"""Sends signals to processes of this run, and to no others."""

import os
import signal
from pathlib import Path


class ProcessMissing(Exception):
    """The process does not exist now: it was killed a moment ago, or has not started yet."""


def send_signal(pid: int, signum: signal.Signals, *, parent: int) -> None:
    """Send a signal to a child of ``parent``.

    Raises ProcessMissing if ``pid`` does not exist, or belongs to another process by now.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        raise ProcessMissing from None
    try:
        if pid not in children_of(parent):  # the open handle keeps the pid from reuse
            raise ProcessMissing
        signal.pidfd_send_signal(handle, signum)
    except ProcessLookupError:
        raise ProcessMissing from None
    finally:
        os.close(handle)


def children_of(pid: int) -> list[int]:
    """Return a process's children, oldest first."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        listings = [(task / "children").read_text() for task in tasks]
    except OSError:
        return []
    return sorted(int(child) for listing in listings for child in listing.split())
