"""The log of what the service did: one entry per effect. In memory only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Act:
    """One effect. A request that is repeated under its key has no second effect."""

    at: int
    operation: str
    path: str
    key: str | None
    request: Mapping[str, Any]
    status: int
    answer: Mapping[str, Any]


class ActLog:
    def __init__(self) -> None:
        self._acts: list[Act] = []

    def add(self, act: Act) -> None:
        self._acts.append(act)

    def entries(self) -> list[dict[str, Any]]:
        """Return all acts, oldest first."""
        return [asdict(act) for act in self._acts]
