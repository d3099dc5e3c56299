"""How often an outside service must act: in a scenario as a whole, or for one order."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Times = int | tuple[int, int]
"""An exact number, or the least and the greatest where a fault decides."""

Effects = Mapping[str, Times]
"""How often a service must act, by operation. It must not do operations that are missing here."""


@dataclass(frozen=True)
class OrderEffects:
    """What one service must do for each order, in every scenario that has no rule of its own.

    The request of each act must hold the order's id as one of its values.
    """

    confirmed: Effects = field(default_factory=dict)
    cancelled: Effects = field(default_factory=dict)
    compensated_by: Mapping[str, str] = field(default_factory=dict)
    """The operation that must follow an operation for a cancelled order: ``{"score": "withdraw"}``."""

    def problems(self, status: str, found: Counter[str]) -> Iterator[str]:
        """Yield what is wrong with the acts for an order that ended with ``status``."""
        if status != "cancelled":
            yield from differences(found, self.confirmed)
            return
        yield from differences(found, self.cancelled)
        for operation, compensation in self.compensated_by.items():
            if found[operation] and not found[compensation]:
                yield f"{operation} without {compensation}"


def differences(found: Counter[str], expected: Effects) -> Iterator[str]:
    """Yield each operation that was done more or less often than expected."""
    for operation in sorted(found.keys() | expected.keys()):
        times = expected.get(operation, 0)
        least, most = times if isinstance(times, tuple) else (times, times)
        if not least <= found[operation] <= most:
            yield f"{operation} {found[operation]} times instead of {times}"
