"""Group commit: runs that wait at the same moment share a transaction; a single one does not wait."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Ticket(Generic[Item, Result]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.is_leader = False
        self.event = threading.Event()
        self.result: Result | None = None
        self.error: BaseException | None = None


class GroupCommit(Generic[Item, Result]):
    """Leader and followers among the threads of one process, as in PostgreSQL's group commit.

    The first thread executes everything that waits when it starts. Threads that come meanwhile wait
    for the next round, which the first of them leads. If a group fails, its items are executed one
    by one, so an error affects only its own item.
    """

    def __init__(
        self,
        together: Callable[[list[Item]], list[Result]],
        alone: Callable[[Item], Result],
        limit: int = 50,
    ) -> None:
        self._together = together
        self._alone = alone
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: list[_Ticket[Item, Result]] = []
        self._busy = False

    def submit(self, item: Item) -> Result:
        """Execute ``item``, alone or with others, and return its result or raise its error."""
        ticket = _Ticket[Item, Result](item)
        with self._lock:
            self._waiting.append(ticket)
            ticket.is_leader = not self._busy
            self._busy = True
        if not ticket.is_leader:
            ticket.event.wait()
        if ticket.is_leader:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.result  # type: ignore[return-value]  # set whenever error is not

    def _lead(self) -> None:
        with self._lock:
            group = self._waiting[: self._limit]
            del self._waiting[: self._limit]
        try:
            self._execute(group)
        except BaseException as error:
            for ticket in group:
                ticket.error = error
            raise
        finally:
            self._wake_next_leader()
            for ticket in group:
                ticket.event.set()

    def _wake_next_leader(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting[0].is_leader = True
                self._waiting[0].event.set()
            else:
                self._busy = False

    def _execute(self, group: list[_Ticket[Item, Result]]) -> None:
        if len(group) > 1:
            try:
                results = self._together([ticket.item for ticket in group])
            except Exception:  # noqa: BLE001 - each item's own error is found below
                results = None
            if results is not None:
                for ticket, result in zip(group, results, strict=True):
                    ticket.result = result
                return
        for ticket in group:
            try:
                ticket.result = self._alone(ticket.item)
            except BaseException as error:  # noqa: BLE001 - raised where the ticket was drawn
                ticket.error = error
