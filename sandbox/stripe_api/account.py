"""The state of the one Stripe account that the sandbox serves; changed only by ``apply``."""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from typing import Generic, TypeVar

from sandbox.stripe_api.records import Charge, PaymentIntent, Record, Refund

R = TypeVar("R", PaymentIntent, Charge, Refund)


class RecordTable(Generic[R]):
    """The newest version of each object of one kind, in order of creation."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._by_id: dict[str, R] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[R]:
        return iter(self._by_id.values())

    def __getitem__(self, object_id: str) -> R:
        return self._by_id[object_id]

    def get(self, object_id: str) -> R | None:
        return self._by_id.get(object_id)

    def put(self, record: R) -> None:
        if record.id not in self._by_id:
            self.ids.append(record.id)
        self._by_id[record.id] = record


class Account:
    """Operations read it and return new records. ``apply`` takes them once they are in the ledger."""

    def __init__(self) -> None:
        self.intents = RecordTable[PaymentIntent]()
        self.charges = RecordTable[Charge]()
        self.refunds = RecordTable[Refund]()
        self.refunds_of: defaultdict[str, list[str]] = defaultdict(list)
        """Refund ids by the id of their charge, oldest first."""
        self._due: list[tuple[int, str]] = []

    @property
    def next_serial(self) -> int:
        return len(self.intents) + len(self.charges) + len(self.refunds)

    def apply(self, record: Record) -> None:
        match record:
            case PaymentIntent():
                self.intents.put(record)
            case Charge():
                self.charges.put(record)
                if record.capture_before is not None and not record.captured:
                    heapq.heappush(self._due, (record.capture_before, record.id))
            case Refund():
                if self.refunds.get(record.id) is None:
                    self.refunds_of[record.charge].append(record.id)
                self.refunds.put(record)
                if record.settles_at is not None:
                    heapq.heappush(self._due, (record.settles_at, record.id))

    def pop_due(self, now: int) -> str | None:
        """Remove and return the id of a charge or refund that is due; None if none is."""
        if self._due and self._due[0][0] <= now:
            return heapq.heappop(self._due)[1]
        return None
