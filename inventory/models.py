"""Products, warehouses, stock levels, reservations, and movements. A level is the sum of its movements."""

from datetime import datetime
from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from clock.now import Now


class Product(models.Model):
    """A product that the shop sells. Prices are in minor units of the installation's currency."""

    sku = models.CharField(
        max_length=64, unique=True, validators=[RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    )
    name = models.CharField(max_length=200)
    price_minor = models.PositiveBigIntegerField()
    # A withdrawn product can no longer be bought. It is kept because orders contain it.
    is_withdrawn = models.BooleanField(default=False)

    # The database clock when the row was read; set by queries that ask for it.
    read_at: datetime

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(price_minor__gt=0), name="inventory_price_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.sku


class Warehouse(models.Model):
    """Where stock is kept. A line is reserved in the first warehouse that has all of it."""

    code = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.code


class StockLevel(models.Model):
    """The stock of one product in one warehouse. Only ``inventory.services`` writes it."""

    product = models.ForeignKey(Product, models.PROTECT, related_name="stock_levels")
    warehouse = models.ForeignKey(Warehouse, models.PROTECT, related_name="stock_levels")
    on_hand = models.PositiveBigIntegerField(default=0)
    reserved = models.PositiveBigIntegerField(default=0)

    # The product's SKU; set by queries that ask for it.
    sku: str

    class Meta:
        verbose_name = "stock level"
        verbose_name_plural = "stock"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["product", "warehouse"], name="inventory_one_level_per_warehouse"
            ),
            models.CheckConstraint(
                condition=Q(reserved__lte=F("on_hand")), name="inventory_never_oversold"
            ),
        ]
        permissions: ClassVar = [("adjust_stocklevel", "Can receive goods, and adjust stock")]

    def __str__(self) -> str:
        return f"{self.product} in {self.warehouse}"

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


class ReservationStatus(models.TextChoices):
    HELD = "held"  # for an order that is being paid
    CONFIRMED = "confirmed"  # for an order that is confirmed
    RELEASED = "released"  # final: available again


class Reservation(models.Model):
    """The stock reserved for one order line. Only the order's saga releases it; it never expires.

    It names the order and the line by id, because inventory does not import orders.
    """

    order_id = models.UUIDField()
    line_id = models.UUIDField()
    stock_level = models.ForeignKey(StockLevel, models.PROTECT, related_name="reservations")
    quantity = models.PositiveIntegerField()
    status = models.CharField(
        max_length=16, choices=ReservationStatus, default=ReservationStatus.HELD
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["line_id"], name="inventory_line_reserved_once"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0), name="inventory_reservation_is_positive"
            ),
            models.CheckConstraint(
                condition=Q(status__in=ReservationStatus.values),
                name="inventory_reservation_status_known",
            ),
        ]
        indexes: ClassVar = [
            # Read by every step that confirms or releases an order's stock.
            models.Index(fields=["order_id"], name="inventory_by_order"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of {self.stock_level}: {self.status}"


class MovementKind(models.TextChoices):
    RECEIPT = "receipt"  # goods received: on_hand grows
    RESERVE = "reserve"  # for an order line: reserved grows
    RELEASE = "release"  # for an order line: reserved shrinks
    ADJUST = "adjust"  # staff counted: on_hand grows or shrinks, never below reserved


KINDS_WITHOUT_LINE = (MovementKind.RECEIPT, MovementKind.ADJUST)


class StockMovement(models.Model):
    """One change of a stock level, with its reason. Append-only: a level is the sum of its movements."""

    stock_level = models.ForeignKey(StockLevel, models.PROTECT, related_name="movements")
    kind = models.CharField(max_length=16, choices=MovementKind)
    # Negative only for an adjustment.
    quantity = models.IntegerField()
    line_id = models.UUIDField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            # A line has one movement of each kind, however often a step repeats.
            models.UniqueConstraint(
                fields=["line_id", "kind"],
                condition=Q(line_id__isnull=False),
                name="inventory_movement_once_per_line",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=KINDS_WITHOUT_LINE, line_id__isnull=True)
                | (~Q(kind__in=KINDS_WITHOUT_LINE) & Q(line_id__isnull=False)),
                name="inventory_movement_has_its_line",
            ),
            models.CheckConstraint(
                condition=Q(kind=MovementKind.ADJUST) | Q(quantity__gte=0),
                name="inventory_movement_quantity_sign",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.quantity} of {self.stock_level}"


class StockEntry(models.Model):
    """A movement made by staff, and why. Append-only; only ``inventory.services`` writes it.

    The token comes from the form: a form that is sent twice finds the first row.
    """

    token = models.UUIDField(primary_key=True, editable=False)
    movement = models.OneToOneField(StockMovement, models.PROTECT, related_name="entry")
    actor = models.CharField(max_length=150)
    reason = models.TextField(max_length=1000)

    class Meta:
        verbose_name = "stock entry"
        verbose_name_plural = "stock entries"

    def __str__(self) -> str:
        return f"{self.movement_id} by {self.actor}"
