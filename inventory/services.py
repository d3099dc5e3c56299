"""What other apps may ask of inventory: prices, holds, confirmations, releases, receipts."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum

from events.services import record
from inventory.facts import STOCK_RELEASED, STOCK_RESERVED
from inventory.models import (
    MovementKind,
    Product,
    Reservation,
    ReservationStatus,
    StockLevel,
    StockMovement,
)
from sagas.row_sets import update_rows


@dataclass(frozen=True, slots=True)
class Demand:
    """What one order line needs."""

    line_id: UUID
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class ProductForSale:
    """A product as a shop window shows it."""

    sku: str
    name: str
    price_minor: int
    currency: str
    available: int


def catalogue() -> list[ProductForSale]:
    """Return everything that can be bought, by SKU, with what is available at this moment."""
    available = Sum(F("stock_levels__on_hand") - F("stock_levels__reserved"), default=0)
    found = Product.objects.filter(is_withdrawn=False).annotate(available=available).order_by("sku")
    return [
        ProductForSale(each.sku, each.name, each.price_minor, settings.CURRENCY, each.available)
        for each in found
    ]


def products_for_sale(skus: Iterable[str]) -> dict[str, Product]:
    """Return those of ``skus`` that can be bought, by SKU."""
    found = Product.objects.filter(sku__in=set(skus), is_withdrawn=False)
    return {each.sku: each for each in found}


def reserve(
    demands: Mapping[UUID, Sequence[Demand]], correlation_ids: Mapping[UUID, UUID]
) -> dict[UUID, str]:
    """Hold the stock of whole orders; return those that could not be served, with a SKU that lacks.

    Runs in the caller's transaction. Stock rows are locked once, in one order, so that concurrent
    reservations queue and never deadlock; an order is held whole or not at all; ``available``
    never falls below zero. Reserving an order again violates a constraint: the saga's journal
    sees to it that nobody does.
    """
    skus = {each.sku for lines in demands.values() for each in lines}
    levels = (
        StockLevel.objects.select_for_update(of=("self",), no_key=True)
        .filter(product__sku__in=skus)
        .order_by("pk")
        .annotate(sku=F("product__sku"))
    )
    shelves: dict[str, list[StockLevel]] = defaultdict(list)
    for level in levels:
        shelves[level.sku].append(level)
    reservations: list[Reservation] = []
    short: dict[UUID, str] = {}
    for order_id, lines in demands.items():
        held, lacking = _hold(order_id, lines, shelves)
        if lacking:
            short[order_id] = lacking
        reservations += held
    Reservation.objects.bulk_create(reservations)
    _write_movements(reservations, MovementKind.RESERVE)
    update_rows([each for shelf in shelves.values() for each in shelf], ["reserved"])
    record(
        STOCK_RESERVED.of(order_id, correlation_ids[order_id], {"lines": _lines(lines)})
        for order_id, lines in demands.items()
        if order_id not in short
    )
    return short


def _hold(
    order_id: UUID, lines: Sequence[Demand], shelves: Mapping[str, Sequence[StockLevel]]
) -> tuple[list[Reservation], str]:
    """Take all lines of one order from ``shelves``, or none, and say which SKU lacks."""
    held: list[Reservation] = []
    for line in lines:
        level = next((each for each in shelves[line.sku] if each.available >= line.quantity), None)
        if level is None:
            for each in held:
                each.stock_level.reserved -= each.quantity
            return [], line.sku
        level.reserved += line.quantity
        held.append(
            Reservation(
                order_id=order_id, line_id=line.line_id, stock_level=level, quantity=line.quantity
            )
        )
    return held, ""


def _lines(demands: Iterable[Demand]) -> list[dict[str, object]]:
    return [{"sku": each.sku, "quantity": each.quantity} for each in demands]


def confirm(line_counts: Mapping[UUID, int]) -> set[UUID]:
    """Turn the held stock of orders into stock that waits for shipping.

    ``line_counts`` says how many lines each order has. An order of which not exactly those are
    held any more is left as it is, and returned. Runs in the caller's transaction.
    """
    held = (
        Reservation.objects.select_for_update(no_key=True)
        .filter(order_id__in=line_counts, status=ReservationStatus.HELD)
        .order_by("pk")
    )
    found = Counter(held.values_list("order_id", flat=True))
    broken = {order_id for order_id, count in line_counts.items() if found[order_id] != count}
    held.filter(order_id__in=line_counts.keys() - broken).order_by().update(
        status=ReservationStatus.CONFIRMED
    )
    return broken


def release(correlation_ids: Mapping[UUID, UUID]) -> None:
    """Put everything that these orders hold back on the shelf.

    Derived from the reservations that exist, and each is released once: releasing again, or an
    order that never held anything, changes nothing. Runs in the caller's transaction.
    """
    reservations = list(
        Reservation.objects.select_for_update(of=("self",), no_key=True)
        .filter(order_id__in=correlation_ids)
        .exclude(status=ReservationStatus.RELEASED)
        .select_related("stock_level__product")
        .order_by("pk")
    )
    if not reservations:
        return
    Reservation.objects.filter(pk__in=[each.pk for each in reservations]).update(
        status=ReservationStatus.RELEASED
    )
    _write_movements(reservations, MovementKind.RELEASE)
    _give_back(reservations)
    released: dict[UUID, list[dict[str, object]]] = defaultdict(list)
    for each in reservations:
        sku = each.stock_level.product.sku
        released[each.order_id].append({"sku": sku, "quantity": each.quantity})
    record(
        STOCK_RELEASED.of(order_id, correlation_ids[order_id], {"lines": lines})
        for order_id, lines in released.items()
    )


def _write_movements(reservations: Sequence[Reservation], kind: MovementKind) -> None:
    StockMovement.objects.bulk_create(
        StockMovement(
            stock_level_id=each.stock_level_id,
            kind=kind,
            quantity=each.quantity,
            line_id=each.line_id,
        )
        for each in reservations
    )


def _give_back(reservations: Sequence[Reservation]) -> None:
    sums: Counter[int] = Counter()
    for each in reservations:
        sums[each.stock_level_id] += each.quantity
    levels = list(
        StockLevel.objects.select_for_update(no_key=True).filter(pk__in=sums).order_by("pk")
    )
    for level in levels:
        level.reserved -= sums[level.pk]
    update_rows(levels, ["reserved"])


@transaction.atomic
def receive(level: StockLevel, quantity: int, note: str) -> None:
    """Add goods that came in to a stock level."""
    StockLevel.objects.filter(pk=level.pk).update(on_hand=F("on_hand") + quantity)
    StockMovement.objects.create(
        stock_level=level, kind=MovementKind.RECEIPT, quantity=quantity, note=note
    )
