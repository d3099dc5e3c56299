"""What the shelves are to do, in plain Python: the first one that has all of a line serves it."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from uuid import UUID

from inventory.services import StockRequest


class ReservedTwice(Exception):
    """A line that was held before was about to be held again."""


@dataclass
class Shelf:
    """How much of one product one warehouse has."""

    sku: str
    on_hand: int = 0
    reserved: int = 0


@dataclass
class Hold:
    """What one line got, from where, and what became of it."""

    shelf: int
    quantity: int
    status: str = "held"


@dataclass
class ShelfModel:
    """The shelves in the order in which they were put up, and who holds what of them."""

    shelves: list[Shelf] = field(default_factory=list)
    holds: dict[UUID, dict[UUID, Hold]] = field(default_factory=dict)
    events: list[tuple[str, UUID, list[tuple[str, int]]]] = field(default_factory=list)

    def copy(self) -> "ShelfModel":
        return deepcopy(self)

    def reserve(self, requests: Mapping[UUID, Sequence[StockRequest]]) -> dict[UUID, str]:
        """Serve each order whole or not at all; who went without, and for lack of what."""
        short = {}
        for order_id, lines in requests.items():
            taken: dict[UUID, Hold] = {}
            for line in lines:
                place = self._first_with(line)
                if place is None:
                    short[order_id] = line.sku
                    break
                self.shelves[place].reserved += line.quantity
                taken[line.line_id] = Hold(place, line.quantity)
            if order_id in short:
                for hold in taken.values():
                    self.shelves[hold.shelf].reserved -= hold.quantity
            elif order_id in self.holds:
                raise ReservedTwice(order_id)
            else:
                self.holds[order_id] = taken
                what = [(line.sku, line.quantity) for line in lines]
                self.events.append(("stock.reserved", order_id, what))
        return short

    def _first_with(self, line: StockRequest) -> int | None:
        for place, shelf in enumerate(self.shelves):
            if shelf.sku == line.sku and shelf.on_hand - shelf.reserved >= line.quantity:
                return place
        return None

    def confirm(self, line_counts: Mapping[UUID, int]) -> set[UUID]:
        """Confirm each order that holds exactly as many lines as it has; who does not."""
        broken = set()
        for order_id, count in line_counts.items():
            held = [each for each in self._holds_of(order_id) if each.status == "held"]
            if len(held) != count:
                broken.add(order_id)
                continue
            for hold in held:
                hold.status = "confirmed"
        return broken

    def release(self, order_ids: Sequence[UUID]) -> None:
        """Put back whatever these orders hold, once."""
        for order_id in order_ids:
            held = [each for each in self._holds_of(order_id) if each.status != "released"]
            for hold in held:
                self.shelves[hold.shelf].reserved -= hold.quantity
                hold.status = "released"
            if held:
                what = [(self.shelves[each.shelf].sku, each.quantity) for each in held]
                self.events.append(("stock.released", order_id, what))

    def _holds_of(self, order_id: UUID) -> list[Hold]:
        return list(self.holds.get(order_id, {}).values())
