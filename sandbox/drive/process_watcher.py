"""Watches the run's processes through their supervisor: which one runs, and which one has ended."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from sandbox.drive.order_tracker import OrderTracker
from sandbox.programs import display_name
from sandbox.supervision import Supervisor

EVERY_SECONDS: Final = 0.2


class ProcessState(NamedTuple):
    """One program's process."""

    pid: int  # 0 while the program has no process
    previous_pid: int = 0  # of the process that it replaced in this group of scenarios; 0 for none


class ProcessWatcher:
    """Adds every end and every restart of a process to the tracker's feed."""

    def __init__(self, supervisor: Supervisor, tracker: OrderTracker) -> None:
        self._supervisor = supervisor
        self._tracker = tracker
        self._states: Mapping[str, ProcessState] = {}
        self._over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, name="processes")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def states(self) -> Mapping[str, ProcessState]:
        return self._states

    def start_group(self) -> None:
        """Forget which processes were replaced in the previous group of scenarios."""
        self._states = {name: ProcessState(state.pid) for name, state in self._states.items()}

    def _watch(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self._poll()

    def _poll(self) -> None:
        statuses = self._supervisor.statuses()
        if not statuses:
            return
        pids = {name: status.pid if status.running else 0 for name, status in statuses.items()}
        known = self._states
        self._states = {
            name: self._compared(name, known.get(name), pid) for name, pid in pids.items()
        }

    def _compared(self, name: str, known: ProcessState | None, pid: int) -> ProcessState:
        if known is None or known.pid == pid:
            return known or ProcessState(pid)
        previous = known.pid or known.previous_pid
        if not pid:
            self._tracker.add_event(f"Gone: {display_name(name)} (process {previous})")
        else:
            self._tracker.add_event(
                f"Back: {display_name(name)}, process {pid} instead of {previous}"
            )
        return ProcessState(pid, previous)
