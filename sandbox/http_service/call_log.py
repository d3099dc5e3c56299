"""The latest calls to the API, for tests and demonstrations to look at. Kept in memory only."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from sandbox.http_service.faults import Fault

KEPT: Final = 10_000


@dataclass
class LoggedCall:
    """``status`` is what was answered; None where nothing was."""

    key: str | None
    operation: str = ""
    object_id: str = ""
    status: int | None = None
    fault: Fault | None = None
    replayed: bool = False


class CallLog:
    """Calls are numbered from 1 in the order of their ends."""

    def __init__(self) -> None:
        self._calls: deque[tuple[int, LoggedCall]] = deque(maxlen=KEPT)
        self.last = 0

    def clear(self) -> None:
        self._calls.clear()
        self.last = 0

    def append(self, call: LoggedCall) -> None:
        self.last += 1
        self._calls.append((self.last, call))

    def since(self, number: int) -> list[dict[str, object]]:
        """The calls after ``number``, oldest first."""
        return [
            {
                "n": n,
                "operation": call.operation,
                "object": call.object_id,
                "key": call.key,
                "status": call.status,
                "fault": call.fault,
                "replayed": call.replayed,
            }
            for n, call in self._calls
            if n > number
        ]
