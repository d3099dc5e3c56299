"""What people did to orders: an audit row for each act, and what they asked for in bulk."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from sagas.identifiers import new_id


class ActionKind(models.TextChoices):
    RETRY = "retry", "retry now"
    CANCEL = "cancel", "cancel"
    PAUSE = "pause", "pause"
    RESUME = "resume", "resume"
    NOTE = "note", "note"
    EXPORT = "export", "export"


class ActionOutcome(models.TextChoices):
    DONE = "done"
    REFUSED = "refused"  # nothing was changed; ``told`` says why, and what could be done instead


class OperatorAction(models.Model):
    """One thing that one person did, or was refused, at the desk or from a shell. Append-only: a trigger sees to it.

    Written by ``desk.actions`` and ``desk.export``, in the transaction that has its effect. The token
    is the form's: whoever sends a form twice finds the row of the first time.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.UUIDField(unique=True, editable=False)
    # Empty for who acted from a shell, and has no account; then ``shell_user`` says who it was.
    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        db_index=False,
    )
    shell_user = models.CharField(max_length=150, blank=True, db_default="")
    kind = models.CharField(max_length=16, choices=ActionKind)
    # Empty for what is about many orders, such as an export.
    order = models.ForeignKey(
        "orders.Order",
        models.PROTECT,
        related_name="operator_actions",
        null=True,
        blank=True,
        db_index=False,
    )
    reason = models.TextField(max_length=1000)
    outcome = models.CharField(max_length=16, choices=ActionOutcome)
    told = models.TextField()
    # Where the order stood, in words.
    before = models.CharField(max_length=255, blank=True)
    after = models.CharField(max_length=255, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "act on an order"
        verbose_name_plural = "acts on orders"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=ActionKind.values), name="desk_action_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=ActionOutcome.values), name="desk_action_outcome_known"
            ),
            models.CheckConstraint(
                condition=Q(operator__isnull=False, shell_user="")
                | (Q(operator__isnull=True) & ~Q(shell_user="")),
                name="desk_action_is_somebodys",
            ),
        ]
        indexes: ClassVar = [
            # Read by one order's page; ids sort by time.
            models.Index(fields=["order", "id"], name="desk_actions_by_order"),
            # Read by whoever asks what somebody did.
            models.Index(fields=["operator", "id"], name="desk_actions_by_operator"),
        ]
        permissions: ClassVar = [
            ("retry_order", "Can have an order retried now"),
            ("cancel_order", "Can cancel an order, and have it refunded"),
            ("pause_order", "Can hold an order, and release one that a person holds"),
            ("resume_unresolved_order", "Can release an order that an invariant paused"),
            ("note_order", "Can add a note to an order"),
            ("export_orders", "Can export orders"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.outcome}"

    @property
    def actor(self) -> str:
        """Who it was: an account's name, or ``shell:`` and the operating system's."""
        return self.operator.get_username() if self.operator else self.shell_user


class BulkAction(models.Model):
    """One act asked for on many orders, carried out in the background, an order at a time.

    Made with its items in one transaction; from then on only ``desk.bulk`` writes it. It ends when
    no item waits, or when somebody stops it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.UUIDField(unique=True, editable=False)
    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False
    )
    kind = models.CharField(max_length=16, choices=ActionKind)
    reason = models.TextField(max_length=1000)
    # Which orders, in words.
    chosen_by = models.TextField()
    count = models.PositiveIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    # Until then another worker leaves it alone; whose worker died is taken up by the next one.
    carried_until = models.DateTimeField(null=True, blank=True)
    # Nothing further is done from then on; what was done stays.
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.CharField(max_length=150, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "bulk act"
        verbose_name_plural = "bulk acts"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=ActionKind.values), name="desk_bulk_kind_known"
            ),
        ]
        indexes: ClassVar = [
            # Read by the task that carries them, every few seconds.
            models.Index(
                fields=["id"], condition=Q(ended_at__isnull=True), name="desk_bulk_to_carry"
            ),
        ]
        permissions: ClassVar = [("act_in_bulk", "Can act on many orders at once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.count} orders"


class ItemOutcome(models.TextChoices):
    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"  # the order's state, or the operator's rights, did not allow it
    FAILED = "failed"  # it raised, again and again; nothing was changed


class BulkItem(models.Model):
    """One order of a bulk action. Done, refused or failed in one transaction with its audit row."""

    bulk = models.ForeignKey(BulkAction, models.PROTECT, related_name="items", db_index=False)
    order = models.ForeignKey("orders.Order", models.PROTECT, related_name="+", db_index=False)
    outcome = models.CharField(max_length=16, choices=ItemOutcome, default=ItemOutcome.WAITING)
    told = models.TextField(blank=True)
    # How often it raised.
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = "order of a bulk act"
        verbose_name_plural = "orders of bulk acts"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bulk", "order"], name="desk_order_once_per_bulk"),
            models.CheckConstraint(
                condition=Q(outcome__in=ItemOutcome.values), name="desk_item_outcome_known"
            ),
        ]
        indexes: ClassVar = [
            # Read by the task that carries them, and by the progress page.
            models.Index(fields=["bulk", "outcome", "id"], name="desk_items_by_outcome"),
        ]

    def __str__(self) -> str:
        return f"{self.order_id}: {self.outcome}"
