"""Random histories of stock: receipts, reservations, confirmations and releases against a model."""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Sum
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from events.models import OutboxEvent
from inventory import services
from inventory.errors import BelowReserved
from inventory.models import Reservation, StockLevel, StockMovement
from tests.support.database import empty_all_tables
from tests.support.example_counts import effort
from tests.support.inventory_helpers import Basket, add_stock, basket
from tests.support.stock_model import ModelLevel, ReservedTwice, StockModel

T = TypeVar("T")

SKUS = ("MUG", "TEE", "CUP")
WAREHOUSES = ("north", "south")
NOWHERE = "LAMP"
ONCE = "inventory_line_reserved_once|inventory_movement_once_per_line"

quantities = st.integers(1, 4)
wanted = st.sampled_from(("MUG", "MUG", "MUG", "TEE", "TEE", "CUP", NOWHERE))
lines = st.lists(st.tuples(wanted, quantities), min_size=1, max_size=3)
numbers = st.lists(st.integers(0, 7), min_size=1, max_size=4)
"""The baskets of one group."""
commits = st.sampled_from((True, True, True, False))
"""Whether the transaction around a call commits, or its worker dies before that."""


class StockMachine(RuleBasedStateMachine):
    """Orders that reserve, confirm and release stock in groups, also repeatedly and too late."""

    def __init__(self) -> None:
        super().__init__()
        empty_all_tables()
        self.model = StockModel()
        self.levels: list[StockLevel] = []
        self.baskets: list[Basket] = []

    @initialize(counts=st.tuples(*[st.integers(0, 5)] * 3), first=lines)
    def begin(self, counts: tuple[int, int, int], first: list[tuple[str, int]]) -> None:
        self.fill_basket(first)
        first_levels = (("MUG", "north"), ("MUG", "south"), ("TEE", "north"))
        for (sku, warehouse), quantity in zip(first_levels, counts, strict=True):
            self.create_level(sku, warehouse, quantity)

    @rule(sku=st.sampled_from(SKUS), warehouse=st.sampled_from(WAREHOUSES), quantity=quantities)
    def create_level(self, sku: str, warehouse: str, quantity: int) -> None:
        if (sku, warehouse) in {(level.product.sku, level.warehouse.code) for level in self.levels}:
            return
        self.levels.append(add_stock(sku, quantity, warehouse=warehouse))
        self.model.levels.append(ModelLevel(sku, quantity))

    @rule(position=st.integers(0, 5), quantity=quantities)
    def receive(self, position: int, quantity: int) -> None:
        position %= len(self.levels)
        services.receive(self.levels[position], quantity, "more of it")
        self.model.levels[position].on_hand += quantity

    @rule(position=st.integers(0, 5), change=st.integers(-3, 3).filter(bool))
    def adjust(self, position: int, change: int) -> None:
        position %= len(self.levels)
        level = self.model.levels[position]
        entered = services.ManualEntry(uuid4(), "grace", "counted")
        if level.on_hand + change < level.reserved:
            with pytest.raises(BelowReserved):
                services.adjust(self.levels[position], change, entered)
            return
        services.adjust(self.levels[position], change, entered)
        level.on_hand += change

    @rule(lines=lines)
    def fill_basket(self, lines: list[tuple[str, int]]) -> None:
        self.baskets.append(basket(*lines))

    @rule(numbers=numbers, commits=commits)
    def reserve(self, *, numbers: list[int], commits: bool) -> None:
        group = self.group(numbers)
        requests = {basket.order_id: basket.lines for basket in group}
        correlation_ids = {basket.order_id: basket.correlation_id for basket in group}
        after = self.model.copy()
        try:
            expected = after.reserve(requests)
        except ReservedTwice:
            with pytest.raises(IntegrityError, match=ONCE):
                self.in_transaction(
                    lambda: services.reserve(requests, correlation_ids), commits=True
                )
            return

        missing = self.in_transaction(
            lambda: services.reserve(requests, correlation_ids), commits=commits
        )

        assert missing in (expected, None)
        self.model = after if commits else self.model

    @rule(numbers=numbers, miscounted=st.sampled_from((0, 0, 0, 1)), commits=commits)
    def confirm(self, *, numbers: list[int], miscounted: int, commits: bool) -> None:
        counts = {basket.order_id: len(basket.lines) + miscounted for basket in self.group(numbers)}
        after = self.model.copy()
        expected = after.confirm(counts)

        incomplete = self.in_transaction(lambda: services.confirm(counts), commits=commits)

        assert incomplete in (expected, None)
        self.model = after if commits else self.model

    @rule(numbers=numbers, commits=commits)
    def release(self, *, numbers: list[int], commits: bool) -> None:
        correlation_ids = {basket.order_id: basket.correlation_id for basket in self.group(numbers)}
        after = self.model.copy()
        after.release(list(correlation_ids))

        self.in_transaction(lambda: services.release(correlation_ids), commits=commits)

        self.model = after if commits else self.model

    def group(self, numbers: list[int]) -> list[Basket]:
        """Return the baskets of these numbers in their order, and none twice."""
        positions = dict.fromkeys(number % len(self.baskets) for number in numbers)
        return [self.baskets[position] for position in positions]

    def in_transaction(self, call: Callable[[], T], *, commits: bool) -> T | None:
        """Call in a transaction. Returns None if it rolls back, as when its worker dies."""
        with transaction.atomic():
            result = call()
            transaction.set_rollback(not commits)
        return result if commits else None

    @invariant()
    def every_level_is_the_sum_of_its_movements(self) -> None:
        rows = StockMovement.objects.values_list("stock_level", "kind").annotate(Sum("quantity"))
        sums = Counter({(level, kind): total for level, kind, total in rows.order_by()})
        for pk, on_hand, reserved in StockLevel.objects.values_list("pk", "on_hand", "reserved"):
            assert on_hand == sums[pk, "receipt"] + sums[pk, "adjust"]
            assert reserved == sums[pk, "reserve"] - sums[pk, "release"]
            assert 0 <= reserved <= on_hand

    @invariant()
    def every_level_equals_its_model(self) -> None:
        found = StockLevel.objects.order_by("pk").values_list("product__sku", "on_hand", "reserved")
        assert list(found) == [
            (level.sku, level.on_hand, level.reserved) for level in self.model.levels
        ]

    @invariant()
    def every_reservation_equals_its_model(self) -> None:
        positions = {level.pk: position for position, level in enumerate(self.levels)}
        found = Reservation.objects.values_list(
            "order_id", "line_id", "stock_level_id", "quantity", "status"
        )
        holds = {
            (order_id, line_id, hold.level, hold.quantity, hold.status)
            for order_id, lines in self.model.holds.items()
            for line_id, hold in lines.items()
        }
        assert {
            (order_id, line_id, positions[level_id], *rest)
            for order_id, line_id, level_id, *rest in found
        } == holds

    @invariant()
    def every_line_is_reserved_and_released_once(self) -> None:
        moved = Counter(
            StockMovement.objects.filter(line_id__isnull=False).values_list("line_id", "kind")
        )
        expected: Counter[tuple[UUID, str]] = Counter()
        for lines in self.model.holds.values():
            for line_id, hold in lines.items():
                expected[line_id, "reserve"] += 1
                expected[line_id, "release"] += hold.status == "released"
        assert moved == +expected

    @invariant()
    def every_event_is_recorded_and_no_other(self) -> None:
        found = OutboxEvent.objects.order_by("id").values_list("name", "key", "payload")
        recorded = [
            (name, key, [(line["sku"], line["quantity"]) for line in payload["lines"]])
            for name, key, payload in found
        ]
        assert sorted(recorded) == sorted(self.model.events)

    def teardown(self) -> None:
        """After every order releases its stock, nothing is reserved."""
        self.release(numbers=list(range(len(self.baskets))), commits=True)
        self.every_level_is_the_sum_of_its_movements()
        assert set(StockLevel.objects.values_list("reserved", flat=True)) <= {0}


@pytest.mark.django_db(transaction=True)
def test_in_any_history_stock_equals_its_model() -> None:
    run_state_machine_as_test(StockMachine, settings=effort(examples=20, steps=25))
