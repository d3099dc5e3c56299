"""The shelves beside a model of them: whatever is received, reserved, confirmed and released."""

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
"""Which baskets come together."""
commits = st.sampled_from((True, True, True, False))
"""Whether the transaction around a call commits, or its worker dies before that."""


class Shelves(RuleBasedStateMachine):
    """Orders that want things, in groups as workers bring them, also again and too late."""

    def __init__(self) -> None:
        super().__init__()
        empty_all_tables()
        self.model = StockModel()
        self.levels: list[StockLevel] = []
        self.baskets: list[Basket] = []

    @initialize(counts=st.tuples(*[st.integers(0, 5)] * 3), first=lines)
    def begin_with_something(
        self, counts: tuple[int, int, int], first: list[tuple[str, int]]
    ) -> None:
        self.fill_a_basket(first)
        places = (("MUG", "north"), ("MUG", "south"), ("TEE", "north"))
        for (sku, warehouse), quantity in zip(places, counts, strict=True):
            self.put_up(sku, warehouse, quantity)

    @rule(sku=st.sampled_from(SKUS), warehouse=st.sampled_from(WAREHOUSES), quantity=quantities)
    def put_up(self, sku: str, warehouse: str, quantity: int) -> None:
        if (sku, warehouse) in {(each.product.sku, each.warehouse.code) for each in self.levels}:
            return
        self.levels.append(add_stock(sku, quantity, warehouse=warehouse))
        self.model.levels.append(ModelLevel(sku, quantity))

    @rule(place=st.integers(0, 5), quantity=quantities)
    def receive(self, place: int, quantity: int) -> None:
        place %= len(self.levels)
        services.receive(self.levels[place], quantity, "more of it")
        self.model.levels[place].on_hand += quantity

    @rule(place=st.integers(0, 5), change=st.integers(-3, 3).filter(bool))
    def adjust(self, place: int, change: int) -> None:
        place %= len(self.levels)
        shelf = self.model.levels[place]
        entered = services.ManualEntry(uuid4(), "grace", "counted")
        if shelf.on_hand + change < shelf.reserved:
            with pytest.raises(BelowReserved):
                services.adjust(self.levels[place], change, entered)
            return
        services.adjust(self.levels[place], change, entered)
        shelf.on_hand += change

    @rule(lines=lines)
    def fill_a_basket(self, lines: list[tuple[str, int]]) -> None:
        self.baskets.append(basket(*lines))

    @rule(numbers=numbers, commits=commits)
    def reserve(self, *, numbers: list[int], commits: bool) -> None:
        group = self.group(numbers)
        requests = {each.order_id: each.lines for each in group}
        correlation_ids = {each.order_id: each.correlation_id for each in group}
        after = self.model.copy()
        try:
            expected = after.reserve(requests)
        except ReservedTwice:
            with pytest.raises(IntegrityError, match=ONCE):
                self.carry_out(lambda: services.reserve(requests, correlation_ids), commits=True)
            return

        short = self.carry_out(lambda: services.reserve(requests, correlation_ids), commits=commits)

        assert short in (expected, None)
        self.model = after if commits else self.model

    @rule(numbers=numbers, miscounted=st.sampled_from((0, 0, 0, 1)), commits=commits)
    def confirm(self, *, numbers: list[int], miscounted: int, commits: bool) -> None:
        counts = {each.order_id: len(each.lines) + miscounted for each in self.group(numbers)}
        after = self.model.copy()
        expected = after.confirm(counts)

        broken = self.carry_out(lambda: services.confirm(counts), commits=commits)

        assert broken in (expected, None)
        self.model = after if commits else self.model

    @rule(numbers=numbers, commits=commits)
    def release(self, *, numbers: list[int], commits: bool) -> None:
        correlation_ids = {each.order_id: each.correlation_id for each in self.group(numbers)}
        after = self.model.copy()
        after.release(list(correlation_ids))

        self.carry_out(lambda: services.release(correlation_ids), commits=commits)

        self.model = after if commits else self.model

    def group(self, numbers: list[int]) -> list[Basket]:
        """Those baskets, none twice, in the order in which they are named."""
        return [
            self.baskets[each] for each in dict.fromkeys(n % len(self.baskets) for n in numbers)
        ]

    def carry_out(self, act: Callable[[], T], *, commits: bool) -> T | None:
        """Do it in a transaction; None where its worker dies at the end of it."""
        with transaction.atomic():
            result = act()
            transaction.set_rollback(not commits)
        return result if commits else None

    @invariant()
    def every_shelf_is_the_sum_of_its_movements(self) -> None:
        rows = StockMovement.objects.values_list("stock_level", "kind").annotate(Sum("quantity"))
        sums = Counter({(level, kind): total for level, kind, total in rows.order_by()})
        for pk, on_hand, reserved in StockLevel.objects.values_list("pk", "on_hand", "reserved"):
            assert on_hand == sums[pk, "receipt"] + sums[pk, "adjust"]
            assert reserved == sums[pk, "reserve"] - sums[pk, "release"]
            assert 0 <= reserved <= on_hand

    @invariant()
    def every_shelf_is_as_the_model_has_it(self) -> None:
        found = StockLevel.objects.order_by("pk").values_list("product__sku", "on_hand", "reserved")
        assert list(found) == [
            (each.sku, each.on_hand, each.reserved) for each in self.model.levels
        ]

    @invariant()
    def every_line_holds_what_the_model_says(self) -> None:
        places = {each.pk: place for place, each in enumerate(self.levels)}
        found = Reservation.objects.values_list(
            "order_id", "line_id", "stock_level_id", "quantity", "status"
        )
        holds = {
            (order_id, line_id, hold.level, hold.quantity, hold.status)
            for order_id, lines in self.model.holds.items()
            for line_id, hold in lines.items()
        }
        assert {(order, line, places[level], *rest) for order, line, level, *rest in found} == holds

    @invariant()
    def every_line_moves_once_each_way(self) -> None:
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
    def the_world_is_told_what_happened_and_nothing_else(self) -> None:
        found = OutboxEvent.objects.order_by("id").values_list("name", "key", "payload")
        told = [
            (name, key, [(each["sku"], each["quantity"]) for each in payload["lines"]])
            for name, key, payload in found
        ]
        assert sorted(told) == sorted(self.model.events)

    def teardown(self) -> None:
        """Whoever held anything gives it back: everything is on the shelves again."""
        self.release(numbers=list(range(len(self.baskets))), commits=True)
        self.every_shelf_is_the_sum_of_its_movements()
        assert set(StockLevel.objects.values_list("reserved", flat=True)) <= {0}


@pytest.mark.django_db(transaction=True)
def test_whatever_is_done_to_them_the_shelves_do_as_their_model_does() -> None:
    run_state_machine_as_test(Shelves, settings=effort(examples=30, steps=25))
