"""The model of stock for property tests, in plain Python: the first level with enough serves a line."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from uuid import UUID

from inventory.services import StockRequest


class ReservedTwice(Exception):
    """An order reserved again while it still holds its lines."""


@dataclass
class ModelLevel:
    """The stock of one product in one warehouse."""

    sku: str
    on_hand: int = 0
    reserved: int = 0


@dataclass
class Hold:
    """A line's reservation: from which level, how much, and its status."""

    level: int
    """The number of the level in the model."""
    quantity: int
    status: str = "held"


@dataclass
class StockModel:
    """All levels, oldest first, and what each order holds of them."""

    levels: list[ModelLevel] = field(default_factory=list)
    holds: dict[UUID, dict[UUID, Hold]] = field(default_factory=dict)
    events: list[tuple[str, UUID, list[tuple[str, int]]]] = field(default_factory=list)

    def copy(self) -> "StockModel":
        return deepcopy(self)

    def reserve(self, requests: Mapping[UUID, Sequence[StockRequest]]) -> dict[UUID, str]:
        """Serve each order whole or not at all. Returns the others, each with the SKU that lacks."""
        short = {}
        for order_id, lines in requests.items():
            taken: dict[UUID, Hold] = {}
            for line in lines:
                place = self._first_with(line)
                if place is None:
                    short[order_id] = line.sku
                    break
                self.levels[place].reserved += line.quantity
                taken[line.line_id] = Hold(place, line.quantity)
            if order_id in short:
                for hold in taken.values():
                    self.levels[hold.level].reserved -= hold.quantity
            elif order_id in self.holds:
                raise ReservedTwice(order_id)
            else:
                self.holds[order_id] = taken
                what = [(line.sku, line.quantity) for line in lines]
                self.events.append(("stock.reserved", order_id, what))
        return short

    def _first_with(self, line: StockRequest) -> int | None:
        for place, level in enumerate(self.levels):
            if level.sku == line.sku and level.on_hand - level.reserved >= line.quantity:
                return place
        return None

    def confirm(self, line_counts: Mapping[UUID, int]) -> set[UUID]:
        """Confirm each order that holds exactly as many lines as it has. Returns the others."""
        incomplete = set()
        for order_id, count in line_counts.items():
            held = [hold for hold in self._holds_of(order_id) if hold.status == "held"]
            if len(held) != count:
                incomplete.add(order_id)
                continue
            for hold in held:
                hold.status = "confirmed"
        return incomplete

    def release(self, order_ids: Sequence[UUID]) -> None:
        """Release what these orders still hold."""
        for order_id in order_ids:
            held = [hold for hold in self._holds_of(order_id) if hold.status != "released"]
            for hold in held:
                self.levels[hold.level].reserved -= hold.quantity
                hold.status = "released"
            if held:
                what = [(self.levels[hold.level].sku, hold.quantity) for hold in held]
                self.events.append(("stock.released", order_id, what))

    def _holds_of(self, order_id: UUID) -> list[Hold]:
        return list(self.holds.get(order_id, {}).values())
