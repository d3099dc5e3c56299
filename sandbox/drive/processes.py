"""Watches the run's processes as their supervisor sees them: which is there, which has gone."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from sandbox.drive.board import Board
from sandbox.programs import in_words
from sandbox.supervision import Supervisor

EVERY_SECONDS: Final = 0.2


class Seen(NamedTuple):
    """One process: its id, 0 while there is none, and the id it had before in this act."""

    pid: int
    before: int = 0


class Processes:
    """Tells the board of every end and every return."""

    def __init__(self, supervisor: Supervisor, board: Board) -> None:
        self._supervisor = supervisor
        self._board = board
        self._seen: Mapping[str, Seen] = {}
        self._over = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, name="processes")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def glance(self) -> Mapping[str, Seen]:
        return self._seen

    def next_act(self) -> None:
        """Forget who was replaced in the act before."""
        self._seen = {name: Seen(each.pid) for name, each in self._seen.items()}

    def _watch(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        statuses = self._supervisor.statuses()
        if not statuses:
            return
        now = {name: each.pid if each.running else 0 for name, each in statuses.items()}
        known = self._seen
        self._seen = {name: self._compared(name, known.get(name), pid) for name, pid in now.items()}

    def _compared(self, name: str, known: Seen | None, pid: int) -> Seen:
        if known is None or known.pid == pid:
            return known or Seen(pid)
        before = known.pid or known.before
        if not pid:
            self._board.note(f"Gone: {in_words(name)} (process {before})")
        else:
            self._board.note(f"Back: {in_words(name)}, process {pid} instead of {before}")
        return Seen(pid, before)
