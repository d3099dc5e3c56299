"""The latest calls to a service, for tests and for the control page. In memory only."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from sandbox.http_service.faults import Fault

MAX_CALLS: Final = 10_000


@dataclass
class LoggedCall:
    """One call. ``status`` is None if no response was sent."""

    key: str | None
    operation: str = ""
    object_id: str = ""
    status: int | None = None
    fault: Fault | None = None
    replayed: bool = False


class CallLog:
    """The latest MAX_CALLS calls, numbered from 1 in the order in which they ended."""

    def __init__(self) -> None:
        self._calls: deque[tuple[int, LoggedCall]] = deque(maxlen=MAX_CALLS)
        self.last = 0

    def clear(self) -> None:
        self._calls.clear()
        self.last = 0

    def append(self, call: LoggedCall) -> None:
        self.last += 1
        self._calls.append((self.last, call))

    def since(self, number: int) -> list[dict[str, object]]:
        """Return the calls after ``number``, oldest first."""
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
