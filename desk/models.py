"""Staff actions on orders: an audit row for each, and bulk actions with their items."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from clock.now import Now
from sagas.identifiers import new_id


class ActionKind(models.TextChoices):
    RETRY = "retry", "retry now"
    CANCEL = "cancel", "cancel"
    PAUSE = "pause", "pause"
    RESUME = "resume", "resume"
    NOTE = "note", "note"
    EXPORT = "export", "export"
    APPROVE = "approve", "approve"
    REJECT = "reject", "reject"
    EXTEND = "extend", "extend the deadline"
    SIGNAL = "signal", "send a signal"


class ActionOutcome(models.TextChoices):
    DONE = "done"
    REFUSED = "refused"  # nothing was changed; ``message`` says why, and what to do instead


class OperatorAction(models.Model):
    """The audit row of one staff action, done or refused. A trigger forbids changes.

    ``desk.actions``, ``desk.approval_actions``, ``desk.wait_actions`` and ``desk.export_view`` write it
    in the transaction of the action itself. The token is the form's: a form that is sent twice finds the row of the
    first request.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.UUIDField(unique=True, editable=False)
    # Empty for an action from a shell; then ``shell_user`` has the name.
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
    # Empty for an action on many orders, such as an export.
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
    message = models.TextField()
    # The order's state before and after, in words.
    before = models.CharField(max_length=255, blank=True)
    after = models.CharField(max_length=255, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "action on an order"
        verbose_name_plural = "actions on orders"
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
                name="desk_action_has_one_actor",
            ),
        ]
        indexes: ClassVar = [
            # For one order's page; ids sort by time.
            models.Index(fields=["order", "id"], name="desk_actions_by_order"),
            # For the search by member of staff.
            models.Index(fields=["operator", "id"], name="desk_actions_by_operator"),
        ]
        permissions: ClassVar = [
            ("retry_order", "Can retry an order now"),
            ("cancel_order", "Can cancel and refund an order"),
            ("pause_order", "Can pause an order, and resume one that staff paused"),
            ("resume_unresolved_order", "Can resume an order that an invariant paused"),
            ("note_order", "Can add a note to an order"),
            ("export_orders", "Can export orders"),
            ("decide_approval", "Can decide an approval"),
            ("extend_wait", "Can extend the deadline of what an order waits for"),
            ("send_signal", "Can send a signal to an order"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.outcome}"

    @property
    def actor(self) -> str:
        """The username of an account, or ``shell:`` and the name of an operating system user."""
        return self.operator.get_username() if self.operator else self.shell_user


class BulkAction(models.Model):
    """One action on many orders, processed in the background, one order after the other.

    Only ``desk.bulk`` writes it; its items are created in the same transaction. It ends when no
    item waits, or when staff stop it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.UUIDField(unique=True, editable=False)
    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False
    )
    kind = models.CharField(max_length=16, choices=ActionKind)
    reason = models.TextField(max_length=1000)
    # Which orders were chosen, in words.
    selection = models.TextField()
    count = models.PositiveIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    # Other workers skip it until this time. After a crash the next worker takes over.
    leased_until = models.DateTimeField(null=True, blank=True)
    # No item is processed after this time; finished items stay.
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.CharField(max_length=150, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "bulk action"
        verbose_name_plural = "bulk actions"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=ActionKind.values), name="desk_bulk_kind_known"
            ),
        ]
        indexes: ClassVar = [
            # For the task that processes them, every few seconds.
            models.Index(
                fields=["id"], condition=Q(ended_at__isnull=True), name="desk_bulk_unfinished"
            ),
        ]
        permissions: ClassVar = [("act_in_bulk", "Can act on many orders at once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.count} orders"


class ItemOutcome(models.TextChoices):
    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"  # the order's state, or the operator's rights, did not allow it
    FAILED = "failed"  # the action raised MAX_FAILURES times; nothing was changed


class BulkItem(models.Model):
    """One order of a bulk action. Its outcome commits together with the audit row."""

    bulk = models.ForeignKey(BulkAction, models.PROTECT, related_name="items", db_index=False)
    order = models.ForeignKey("orders.Order", models.PROTECT, related_name="+", db_index=False)
    outcome = models.CharField(max_length=16, choices=ItemOutcome, default=ItemOutcome.WAITING)
    message = models.TextField(blank=True)
    # How often the action raised an error.
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = "order of a bulk action"
        verbose_name_plural = "orders of bulk actions"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["bulk", "order"], name="desk_order_once_per_bulk"),
            models.CheckConstraint(
                condition=Q(outcome__in=ItemOutcome.values), name="desk_item_outcome_known"
            ),
        ]
        indexes: ClassVar = [
            # For the task that processes them, and for the progress page.
            models.Index(fields=["bulk", "outcome", "id"], name="desk_items_by_outcome"),
        ]

    def __str__(self) -> str:
        return f"{self.order_id}: {self.outcome}"
