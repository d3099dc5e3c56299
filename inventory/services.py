"""What other apps may ask of inventory: prices, holds, confirmations, releases, receipts."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from events.services import outbox
from inventory.errors import BelowReserved
from inventory.events import STOCK_RELEASED, STOCK_RESERVED
from inventory.models import (
    MovementKind,
    Product,
    Reservation,
    ReservationStatus,
    StockEntry,
    StockLevel,
    StockMovement,
)
from sagas.bulk_sql import Insert, Update, select, write

_OF_SKUS: Final = """
    JOIN inventory_product ON inventory_product.id = product_id
    WHERE inventory_product.sku = ANY(%s)
    ORDER BY inventory_stocklevel.id
"""

_NOTE: Final = 200  # what a movement's note holds; the entry has all of it

_CONFIRM: Final = """
    UPDATE inventory_reservation SET status = 'confirmed'
    WHERE status = 'held' AND order_id IN (
        SELECT asked.order_id FROM unnest(%s::uuid[], %s::int[]) AS asked (order_id, lines)
        WHERE asked.lines = (
            SELECT count(*) FROM inventory_reservation AS held
            WHERE held.order_id = asked.order_id AND held.status = 'held'
        )
    )
    RETURNING order_id
"""


@dataclass(frozen=True, slots=True)
class StockRequest:
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


def catalogue(*, after: str = "", most: int | None = None) -> list[ProductForSale]:
    """Return what can be bought, by SKU, with what is available at this moment.

    One statement; it reads little more than the ``most`` products that come ``after`` a SKU.
    """
    levels = StockLevel.objects.filter(product=OuterRef("pk")).values("product")
    available = levels.annotate(left=Sum(F("on_hand") - F("reserved"))).values("left")
    found = (
        Product.objects.filter(is_withdrawn=False, sku__gt=after)
        .annotate(available=Coalesce(Subquery(available), 0))
        .order_by("sku")[:most]
    )
    return [
        ProductForSale(each.sku, each.name, each.price_minor, settings.CURRENCY, each.available)
        for each in found
    ]


def products_for_sale(skus: Iterable[str]) -> dict[str, Product]:
    """Return those of ``skus`` that can be bought, by SKU; each knows when it was read."""
    condition = "WHERE sku = ANY(%s) AND NOT is_withdrawn"
    found = select(Product, condition, [list(skus)], read_at="statement_timestamp()")
    return {each.sku: each for each in found}


def max_orderable(skus: Iterable[str]) -> dict[str, int]:
    """Return how many of each SKU one order could have at this moment.

    A line is served from one warehouse, so this is the most that any of them has, not their sum.
    """
    available = F("stock_levels__on_hand") - F("stock_levels__reserved")
    found = Product.objects.filter(sku__in=list(skus)).annotate(most=Max(available))
    return {each.sku: max(each.most or 0, 0) for each in found}


def reserve(
    requests: Mapping[UUID, Sequence[StockRequest]], correlation_ids: Mapping[UUID, UUID]
) -> dict[UUID, str]:
    """Hold the stock of whole orders; return those that could not be served, with a SKU that lacks.

    Runs in the caller's transaction. Stock rows are locked once, in one order, so that concurrent
    reservations queue and never deadlock; an order is held whole or not at all; ``available``
    never falls below zero. Reserving an order again violates a constraint: the saga's journal
    sees to it that nobody does.
    """
    skus = {each.sku for lines in requests.values() for each in lines}
    shelves: dict[str, list[StockLevel]] = defaultdict(list)
    for level in select(StockLevel, _OF_SKUS, [list(skus)], lock=True, sku="inventory_product.sku"):
        shelves[level.sku].append(level)
    reservations: list[Reservation] = []
    short: dict[UUID, str] = {}
    for order_id, lines in requests.items():
        held, lacking = _hold(order_id, lines, shelves)
        if lacking:
            short[order_id] = lacking
        reservations += held
    touched = {each.stock_level_id: each.stock_level for each in reservations}
    write(
        Insert(reservations),
        _movements(reservations, MovementKind.RESERVE),
        Update(list(touched.values()), ["reserved"]),
        outbox(
            STOCK_RESERVED.of(order_id, correlation_ids[order_id], {"lines": _lines(lines)})
            for order_id, lines in requests.items()
            if order_id not in short
        ),
    )
    return short


def _hold(
    order_id: UUID, lines: Sequence[StockRequest], shelves: Mapping[str, Sequence[StockLevel]]
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


def _lines(requests: Iterable[StockRequest]) -> list[dict[str, object]]:
    return [{"sku": each.sku, "quantity": each.quantity} for each in requests]


def confirm(line_counts: Mapping[UUID, int]) -> set[UUID]:
    """Turn the held stock of orders into stock that waits for shipping.

    ``line_counts`` says how many lines each order has. An order of which not exactly those are
    held any more is left as it is, and returned. Runs in the caller's transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CONFIRM, [list(line_counts), list(line_counts.values())])
        confirmed = {order_id for (order_id,) in cursor.fetchall()}
    return line_counts.keys() - confirmed


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
    released: dict[UUID, list[dict[str, object]]] = defaultdict(list)
    for each in reservations:
        each.status = ReservationStatus.RELEASED
        sku = each.stock_level.product.sku
        released[each.order_id].append({"sku": sku, "quantity": each.quantity})
    write(
        Update(reservations, ["status"]),
        _movements(reservations, MovementKind.RELEASE),
        _given_back(reservations),
        outbox(
            STOCK_RELEASED.of(order_id, correlation_ids[order_id], {"lines": lines})
            for order_id, lines in released.items()
        ),
    )


def _movements(reservations: Sequence[Reservation], kind: MovementKind) -> Insert:
    return Insert(
        [
            StockMovement(
                stock_level_id=each.stock_level_id,
                kind=kind,
                quantity=each.quantity,
                line_id=each.line_id,
            )
            for each in reservations
        ]
    )


def _given_back(reservations: Sequence[Reservation]) -> Update:
    """Lock the levels of ``reservations`` and take these off what is reserved."""
    sums: Counter[int] = Counter()
    for each in reservations:
        sums[each.stock_level_id] += each.quantity
    levels = select(StockLevel, "WHERE id = ANY(%s) ORDER BY id", [list(sums)], lock=True)
    for level in levels:
        level.reserved -= sums[level.pk]
    return Update(levels, ["reserved"])


@dataclass(frozen=True, slots=True)
class Entered:
    """Who changes a stock level by hand, why, and by which form: a token means one change."""

    token: UUID
    actor: str
    reason: str


@transaction.atomic
def receive(level: StockLevel, quantity: int, note: str, entered: Entered | None = None) -> None:
    """Add goods that came in to a stock level; a person's form that was sent before adds nothing."""
    _move(level, MovementKind.RECEIPT, quantity, note, entered)


@transaction.atomic
def adjust(level: StockLevel, change: int, entered: Entered) -> None:
    """Bring a stock level to what a person counted: ``change`` more than there is, or fewer.

    A form that was sent before changes nothing. Raises BelowReserved, with nothing changed, where
    less would be left than orders hold.
    """
    _move(level, MovementKind.ADJUST, change, entered.reason, entered)


def _move(
    level: StockLevel, kind: MovementKind, change: int, note: str, entered: Entered | None
) -> None:
    """Change a level and say so, under its lock, in which a form that comes twice finds itself."""
    locked = StockLevel.objects.select_for_update(no_key=True).get(pk=level.pk)
    if entered and StockEntry.objects.filter(token=entered.token).exists():
        return
    if locked.on_hand + change < locked.reserved:
        raise BelowReserved(locked.on_hand, locked.reserved, change)
    locked.on_hand += change
    locked.save(update_fields=["on_hand"])
    movement = StockMovement.objects.create(
        stock_level=locked, kind=kind, quantity=change, note=note[:_NOTE]
    )
    if entered:
        StockEntry.objects.create(
            token=entered.token, movement=movement, actor=entered.actor, reason=entered.reason
        )
