"""The interface of inventory for other apps: products, reserve, confirm, release, receive, adjust."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from bulk_sql.statements import Insert, Update, select, write
from events.event_types import Event, OrderedItem
from events.services import outbox
from inventory.errors import BelowReserved
from inventory.events import StockReleased, StockReserved
from inventory.models import (
    MovementKind,
    Product,
    Reservation,
    ReservationStatus,
    StockEntry,
    StockLevel,
    StockMovement,
)

_LEVELS_BY_SKU_SQL: Final = """
    JOIN inventory_product ON inventory_product.id = product_id
    WHERE inventory_product.sku = ANY(%s)
    ORDER BY inventory_stocklevel.id
"""

_NOTE_LENGTH: Final = 200  # of a movement's note; the stock entry keeps the whole text

_CONFIRM: Final = """
    UPDATE inventory_reservation SET status = 'confirmed'
    WHERE status = 'held' AND order_id IN (
        SELECT requested.order_id FROM unnest(%s::uuid[], %s::int[]) AS requested (order_id, lines)
        WHERE requested.lines = (
            SELECT count(*) FROM inventory_reservation AS held
            WHERE held.order_id = requested.order_id AND held.status = 'held'
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
    """A product as the storefront shows it. ``price_minor`` is in minor units."""

    sku: str
    name: str
    price_minor: int
    currency: str
    available: int


def catalogue(*, after: str = "", limit: int | None = None) -> list[ProductForSale]:
    """Return the products for sale, ordered by SKU, with their available quantity.

    Returns at most ``limit`` products whose SKU is greater than ``after``. One statement, which
    reads little more than these rows.
    """
    levels = StockLevel.objects.filter(product=OuterRef("pk")).values("product")
    available = levels.annotate(left=Sum(F("on_hand") - F("reserved"))).values("left")
    found = (
        Product.objects.filter(is_withdrawn=False, sku__gt=after)
        .annotate(available=Coalesce(Subquery(available), 0))
        .order_by("sku")[:limit]
    )
    return [
        ProductForSale(
            product.sku, product.name, product.price_minor, settings.CURRENCY, product.available
        )
        for product in found
    ]


def products_for_sale(skus: Iterable[str]) -> dict[str, Product]:
    """Return the products for sale among ``skus``, by SKU, with the time they were read at."""
    condition = "WHERE sku = ANY(%s) AND NOT is_withdrawn"
    found = select(Product, condition, [list(skus)], read_at="clock_now()")
    return {product.sku: product for product in found}


def max_orderable(skus: Iterable[str]) -> dict[str, int]:
    """Return the largest quantity of each SKU that one order line can get now.

    A line is served from one warehouse. So this is the largest available quantity of any
    warehouse, not the sum of all.
    """
    available = F("stock_levels__on_hand") - F("stock_levels__reserved")
    found = Product.objects.filter(sku__in=list(skus)).annotate(max_available=Max(available))
    return {product.sku: max(product.max_available or 0, 0) for product in found}


def reserve(
    requests: Mapping[UUID, Sequence[StockRequest]], correlation_ids: Mapping[UUID, UUID]
) -> dict[UUID, str]:
    """Reserve the stock of whole orders. Returns a missing SKU of each order that cannot be served.

    An order is reserved whole or not at all, and ``available`` never falls below zero. Runs in the
    caller's transaction, so a crash leaves nothing reserved.

    Concurrent reservations wait for each other and never deadlock: the stock rows are locked once,
    ordered by primary key. Reserving an order twice raises IntegrityError; the saga's journal
    prevents it.
    """
    skus = {line.sku for lines in requests.values() for line in lines}
    levels: dict[str, list[StockLevel]] = defaultdict(list)
    for level in select(
        StockLevel, _LEVELS_BY_SKU_SQL, [list(skus)], lock=True, sku="inventory_product.sku"
    ):
        levels[level.sku].append(level)
    reservations: list[Reservation] = []
    missing_sku_by_order: dict[UUID, str] = {}
    for order_id, lines in requests.items():
        reserved, missing_sku = _reserve_order(order_id, lines, levels)
        if missing_sku:
            missing_sku_by_order[order_id] = missing_sku
        reservations += reserved
    changed = {row.stock_level_id: row.stock_level for row in reservations}
    write(
        Insert(reservations),
        _movements(reservations, MovementKind.RESERVE),
        Update(list(changed.values()), ["reserved"]),
        outbox(
            Event(order_id, correlation_ids[order_id], StockReserved(lines=_items(lines)))
            for order_id, lines in requests.items()
            if order_id not in missing_sku_by_order
        ),
    )
    return missing_sku_by_order


def _reserve_order(
    order_id: UUID, lines: Sequence[StockRequest], levels: Mapping[str, Sequence[StockLevel]]
) -> tuple[list[Reservation], str]:
    """Reserve all lines of one order in ``levels``, or none; return the SKU that is missing."""
    reservations: list[Reservation] = []
    for line in lines:
        level = next((row for row in levels[line.sku] if row.available >= line.quantity), None)
        if level is None:
            for reservation in reservations:
                reservation.stock_level.reserved -= reservation.quantity
            return [], line.sku
        level.reserved += line.quantity
        reservations.append(
            Reservation(
                order_id=order_id, line_id=line.line_id, stock_level=level, quantity=line.quantity
            )
        )
    return reservations, ""


def _items(requests: Iterable[StockRequest]) -> list[OrderedItem]:
    return [OrderedItem(sku=request.sku, quantity=request.quantity) for request in requests]


def confirm(line_counts: Mapping[UUID, int]) -> set[UUID]:
    """Confirm the reservations of orders. Returns the orders whose reservations are not complete.

    ``line_counts`` maps an order to its number of lines. An order that does not have exactly that
    many held reservations is left unchanged, so repeating a confirmation reports its orders as
    incomplete. Runs in the caller's transaction, in which the orders are locked.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CONFIRM, [list(line_counts), list(line_counts.values())])
        confirmed = {order_id for (order_id,) in cursor.fetchall()}
    return line_counts.keys() - confirmed


def release(correlation_ids: Mapping[UUID, UUID]) -> None:
    """Release all reservations of these orders: their stock is available again.

    Each reservation is released once. Releasing again, or an order without reservations, changes
    nothing. Concurrent releases wait for each other. Runs in the caller's transaction, so a crash
    releases nothing.
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
    released: dict[UUID, list[OrderedItem]] = defaultdict(list)
    for reservation in reservations:
        reservation.status = ReservationStatus.RELEASED
        sku = reservation.stock_level.product.sku
        item = OrderedItem(sku=sku, quantity=reservation.quantity)
        released[reservation.order_id].append(item)
    write(
        Update(reservations, ["status"]),
        _movements(reservations, MovementKind.RELEASE),
        _subtract_reserved(reservations),
        outbox(
            Event(order_id, correlation_ids[order_id], StockReleased(lines=items))
            for order_id, items in released.items()
        ),
    )


def _movements(reservations: Sequence[Reservation], kind: MovementKind) -> Insert:
    return Insert(
        [
            StockMovement(
                stock_level_id=reservation.stock_level_id,
                kind=kind,
                quantity=reservation.quantity,
                line_id=reservation.line_id,
            )
            for reservation in reservations
        ]
    )


def _subtract_reserved(reservations: Sequence[Reservation]) -> Update:
    """Lock the stock levels of ``reservations`` and subtract the quantities from ``reserved``."""
    sums: Counter[int] = Counter()
    for reservation in reservations:
        sums[reservation.stock_level_id] += reservation.quantity
    levels = select(StockLevel, "WHERE id = ANY(%s) ORDER BY id", [list(sums)], lock=True)
    for level in levels:
        level.reserved -= sums[level.pk]
    return Update(levels, ["reserved"])


@dataclass(frozen=True, slots=True)
class ManualEntry:
    """Who changes a stock level by hand, and why. Each token changes stock once, however often it is sent."""

    token: UUID
    actor: str
    reason: str


@transaction.atomic
def receive(level: StockLevel, quantity: int, note: str, entry: ManualEntry | None = None) -> None:
    """Add received goods to a stock level, with their movement, in one transaction.

    Repeating an entry with the same token adds nothing; a call without an entry adds each time.
    Concurrent calls for one level wait for each other.
    """
    _apply_change(level, MovementKind.RECEIPT, quantity, note, entry)


@transaction.atomic
def adjust(level: StockLevel, change: int, entry: ManualEntry) -> None:
    """Change ``on_hand`` by ``change``, after staff counted the goods.

    One transaction writes level and movement. Repeating an entry with the same token changes nothing.
    Concurrent calls for one level wait for each other. Raises BelowReserved, with nothing changed,
    when less would be left than orders have reserved.
    """
    _apply_change(level, MovementKind.ADJUST, change, entry.reason, entry)


def _apply_change(
    level: StockLevel, kind: MovementKind, change: int, note: str, entry: ManualEntry | None
) -> None:
    """Change a level under its lock and write the movement; a token that was used before changes nothing."""
    locked = StockLevel.objects.select_for_update(no_key=True).get(pk=level.pk)
    if entry and StockEntry.objects.filter(token=entry.token).exists():
        return
    if locked.on_hand + change < locked.reserved:
        raise BelowReserved(locked.on_hand, locked.reserved, change)
    locked.on_hand += change
    locked.save(update_fields=["on_hand"])
    movement = StockMovement.objects.create(
        stock_level=locked, kind=kind, quantity=change, note=note[:_NOTE_LENGTH]
    )
    if entry:
        StockEntry.objects.create(
            token=entry.token, movement=movement, actor=entry.actor, reason=entry.reason
        )
