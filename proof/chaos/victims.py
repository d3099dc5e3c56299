"""Signals to processes of this run, and to no others."""

import os
import signal
from pathlib import Path


class NotThere(Exception):
    """There is no such process right now: it was killed a moment ago, or has not started yet."""


def strike(pid: int, signum: signal.Signals, *, parent: int) -> None:
    """Send a signal to a child of ``parent``. A number that is somebody else's by now is spared."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NotThere from None
    try:
        if pid not in children_of(parent):  # seen while the handle keeps the number from reuse
            raise NotThere
        signal.pidfd_send_signal(handle, signum)
    except ProcessLookupError:
        raise NotThere from None
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
