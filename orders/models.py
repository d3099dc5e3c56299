"""Orders, their lines, the log of their transitions between states, and idempotency keys."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple, Self
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import OuterRef, Q, Subquery, functions

from access.credentials import Grant
from bulk_sql.statements import Insert, Update, select, write
from clock.now import Now
from orders.customer_waits import CustomerWait, customer_wait
from orders.errors import IllegalTransition
from orders.states import SETTLED, TRANSITIONS, OrderStatus
from payments.history import latest_payment, payment_record
from sagas.identifiers import new_id
from sagas.queries.subjects import cancel_requested_at
from sagas.queries.waits import annotated_wait, is_flagged, wait_annotation

REFERENCE: Final = r"^[A-Za-z0-9._:-]{1,64}$"
"""The pattern of a storefront's own name for an order."""
REFERENCE_CONSTRAINT: Final = "orders_reference_once_per_customer"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an order changed its status: a stable code, its detail, and who asked (empty: the saga)."""

    code: str
    detail: str = ""
    actor: str = ""


class OrderProgress(NamedTuple):
    """How far an order has come: the greater of two values is the later one.

    A cancellation request does not change ``version``. It counts as progress before the transition that
    it causes.
    """

    version: int
    is_cancel_requested: bool


class OrderQuerySet(models.QuerySet["Order"]):
    def visible_to(self, user: User, grant: Grant) -> "OrderQuerySet":
        """Keep the orders that this caller may see. Every request reads orders through this."""
        if grant.order_id is not None:
            return self.filter(pk=grant.order_id)
        return self.all() if grant.is_shop else self.filter(customer=user)

    def with_progress(self) -> Self:
        """Read each order with its last transition, payment, cancellation request and wait, in one query."""
        transitions = OrderTransition.objects.filter(order=OuterRef("pk")).order_by("-sequence")
        return self.with_live_progress().annotate(
            transitioned_at=Subquery(transitions.values("at")[:1])
        )

    def with_live_progress(self) -> Self:
        """Read with each order its cancellation request, its last payment, and what its run waits for."""
        return self.with_cancel_request().annotate(
            annotated_wait=wait_annotation("pk"), latest_payment=latest_payment("pk")
        )

    def with_cancel_request(self) -> Self:
        """Read with each order when its cancellation was requested, from its runs."""
        return self.annotate(cancel_requested_at=cancel_requested_at("pk"))

    def locked(self, order_ids: Iterable[UUID]) -> list["Order"]:
        """Lock orders until the transaction ends, ordered by id, and read their ``line_count``."""
        return select(
            Order,
            "WHERE id = ANY(%s) ORDER BY id",
            [list(order_ids)],
            lock=True,
            line_count="(SELECT count(*) FROM orders_orderline WHERE order_id = orders_order.id)",
        )

    def transition(self, causes: Mapping[UUID, Cause], target: OrderStatus) -> list["Order"]:
        """Lock orders and move them to ``target``, as ``transition_locked`` does."""
        return self.transition_locked(self.locked(causes), causes, target)

    def transition_locked(
        self, locked: Sequence["Order"], causes: Mapping[UUID, Cause], target: OrderStatus
    ) -> list["Order"]:
        """Move orders to ``target`` and log each transition, in the transaction that locked them.

        Returns the orders that changed. An order that already has the status is a repetition and
        stays unchanged. This is the only writer of ``Order.status``. Raises IllegalTransition, with
        nothing written, if one of the orders cannot move to ``target``.
        """
        orders = [order for order in locked if order.status != target]
        transitions = []
        for order in orders:
            source, cause = OrderStatus(order.status), causes[order.pk]
            if target not in TRANSITIONS[source]:
                raise IllegalTransition(order.pk, source, target)
            order.status = target
            order.version += 1
            if target == OrderStatus.CANCELLING:
                order.reason, order.reason_detail = cause.code, cause.detail
            transitions.append(
                OrderTransition(
                    order=order,
                    sequence=order.version,
                    source=source,
                    target=target,
                    cause=cause.code,
                    actor=cause.actor,
                )
            )
        write(Update(orders, ["status", "version", "reason", "reason_detail"]), Insert(transitions))
        return orders


class Order(models.Model):
    """What a customer ordered, at the prices of that moment. Amounts are in minor units."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Empty for a guest: then only the shop's server and the order's links give access.
    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="orders", null=True, blank=True
    )
    status = models.CharField(max_length=16, choices=OrderStatus, default=OrderStatus.PLACED)
    # The number of transitions: shows whether the log of transitions is complete.
    version = models.PositiveIntegerField(default=0)
    currency = models.CharField(max_length=3)
    total_minor = models.PositiveBigIntegerField()
    payment_method = models.CharField(max_length=255)
    # The storefront's own name for the order; empty if it sent none.
    reference = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001 - all empty ones differ
    # Why the order was cancelled: a code and its detail, for orders.cancellation_messages.
    reason = models.CharField(max_length=64, blank=True)
    reason_detail = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    # The number of lines; set by queries that ask for it.
    line_count: int
    # Set by ``with_progress``. ``payments.history.payment_record`` reads the latest payment.
    transitioned_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    latest_payment: Mapping[str, Any] | None = None
    annotated_wait: Mapping[str, Any] | None = None

    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=OrderStatus.values), name="orders_status_known"
            ),
            models.CheckConstraint(condition=Q(total_minor__gt=0), name="orders_total_is_positive"),
            # Never expires, unlike an idempotency key. The reference comes first because the shop's
            # server searches by it alone. All guests count as one customer: the shop's server
            # names their orders.
            models.UniqueConstraint(
                fields=["reference", "customer"],
                condition=Q(reference__isnull=False),
                nulls_distinct=False,
                name=REFERENCE_CONSTRAINT,
            ),
        ]
        indexes: ClassVar = [
            # Read by the shop's list of all orders, and by the desk's.
            models.Index(fields=["-created_at", "-id"], name="orders_newest_first"),
            # Read by a customer's own list.
            models.Index(fields=["customer", "-created_at"], name="orders_by_customer"),
            # Read when a customer places an order: their unfinished orders.
            models.Index(
                fields=["customer"],
                condition=Q(customer__isnull=False, status__in=["placed", "cancelling"]),
                name="orders_open_by_customer",
            ),
            # Read by the desk: orders of one status, newest first.
            models.Index(fields=["status", "-created_at"], name="orders_by_status"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def progress(self) -> OrderProgress:
        return OrderProgress(self.version, self.cancel_requested_at is not None)

    @property
    def wait(self) -> CustomerWait | None:
        """What the order waits for, if it was read ``with_progress``."""
        # A confirmed order has what its customer waits for, however long its capture takes.
        is_under_way = self.status != OrderStatus.CONFIRMED
        return customer_wait(
            annotated_wait(self.annotated_wait),
            payment_record(self.latest_payment),
            is_flagged=is_under_way and is_flagged(self.annotated_wait),
        )

    @property
    def has_ended(self) -> bool:
        """Whether no work is under way. A confirmed order with a cancellation request has not ended."""
        if self.status == OrderStatus.CONFIRMED:
            return self.cancel_requested_at is None
        return self.status in SETTLED

    def as_placed(self) -> "Order":
        """Return the order as it was when it was accepted."""
        return Order(
            pk=self.pk,
            customer_id=self.customer_id,
            currency=self.currency,
            total_minor=self.total_minor,
            payment_method=self.payment_method,
            reference=self.reference,
            created_at=self.created_at,
        )


class OrderLine(models.Model):
    """One product of an order. Name and price are copied, because the catalogue may change."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of its own: the unique constraint below begins with it.
    order = models.ForeignKey(Order, models.PROTECT, related_name="lines", db_index=False)
    position = models.PositiveSmallIntegerField()
    sku = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    quantity = models.PositiveIntegerField()
    unit_price_minor = models.PositiveBigIntegerField()

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["order", "position"], name="orders_line_position"),
            models.UniqueConstraint(fields=["order", "sku"], name="orders_sku_once_per_order"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="orders_quantity_is_positive"),
        ]
        indexes: ClassVar = [
            # Read by staff who search for the orders of a product.
            models.Index(fields=["sku"], name="orders_lines_by_sku"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.sku}"


def orders_by_id(order_ids: Sequence[UUID]) -> list[Order]:
    """Read orders without locking them."""
    return select(Order, "WHERE id = ANY(%s)", [order_ids])


def lines_of(order_ids: Sequence[UUID]) -> list[OrderLine]:
    """Read the lines of orders, by order and position."""
    return select(OrderLine, "WHERE order_id = ANY(%s) ORDER BY order_id, position", [order_ids])


class OrderTransition(models.Model):
    """One transition of one order. Append-only; written by ``OrderQuerySet.transition_locked`` alone."""

    # No index of its own: the unique constraint below begins with it.
    order = models.ForeignKey(Order, models.PROTECT, related_name="transitions", db_index=False)
    sequence = models.PositiveIntegerField()
    source = models.CharField(max_length=16, choices=OrderStatus)
    target = models.CharField(max_length=16, choices=OrderStatus)
    cause = models.CharField(max_length=64)
    # Who asked for it; empty when the saga did.
    actor = models.CharField(max_length=150, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "transition of an order"
        verbose_name_plural = "transitions of orders"
        ordering: ClassVar = ["sequence"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order", "sequence"], name="orders_transitions_in_sequence"
            ),
        ]
        indexes: ClassVar = [
            # Read by checks of recent transitions. Rows are stored in order of time, so a BRIN index needs
            # only a few bytes per megabyte of rows.
            BrinIndex(fields=["at"], autosummarize=True, name="orders_transitioned_lately"),
        ]

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"


def transitions_of(order_ids: Sequence[UUID]) -> Mapping[UUID, list[OrderTransition]]:
    """Return the transitions of each order, in sequence."""
    found: defaultdict[UUID, list[OrderTransition]] = defaultdict(list)
    for transition in OrderTransition.objects.filter(order__in=order_ids).order_by("sequence"):
        found[transition.order_id].append(transition)
    return found


class IdempotencyRecord(models.Model):
    """An Idempotency-Key and its response; written in the transaction of the request's effect.

    It is dated by the real time: a moved clock must not make a client's repetition a new request.
    """

    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    # The client's key; for a guest link with the order's id before it.
    key = models.CharField(max_length=300)
    # SHA-256 of the method, the path and the validated body.
    fingerprint = models.BinaryField(max_length=32)
    # The order that the request placed or cancelled.
    order = models.ForeignKey(Order, models.CASCADE, related_name="+", db_index=False)
    # The response to repetitions, once it is decided. Without a body, it shows the order as placed.
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.TextField(blank=True, db_default="")
    created_at = models.DateTimeField(db_default=functions.Now())

    class Meta:
        verbose_name = "idempotency key"
        verbose_name_plural = "idempotency keys"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["customer", "key"], name="orders_idempotency_key_once_per_customer"
            ),
        ]
        indexes: ClassVar = [
            # Read when expired keys are deleted.
            models.Index(fields=["created_at"], name="orders_keys_by_age"),
        ]

    def __str__(self) -> str:
        return self.key
