"""Approvals: one row for each decision that a saga asks for."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from approvals.states import STATUS_OF, ApprovalStatus, DecidedVia, Decision, DefaultAction
from clock.now import Now
from sagas.identifiers import new_id

NAME_LENGTH = 64
ACTOR_LENGTH = 150
COMMENT_LENGTH = 1000


class Approval(models.Model):
    """A decision about an order. ``approvals.services`` writes it: opened once, decided once.

    It names the order by id, because approvals does not import orders.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    subject_id = models.UUIDField()
    correlation_id = models.UUIDField()
    # The kind of decision, such as "order_review".
    name = models.CharField(max_length=NAME_LENGTH)
    # Tells several approvals of one order and name apart; usually empty.
    key = models.CharField(max_length=100, blank=True, db_default="")
    # The wait step that goes on when it is decided.
    wait = models.CharField(max_length=64)
    # For the person who decides.
    question = models.TextField()
    deadline = models.DateTimeField()
    # What the order's run does when the deadline passes without a decision.
    default = models.CharField(max_length=16, choices=DefaultAction)
    status = models.CharField(max_length=16, choices=ApprovalStatus, default=ApprovalStatus.OPEN)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=ACTOR_LENGTH, blank=True)
    decided_via = models.CharField(max_length=16, blank=True, choices=DecidedVia)
    comment = models.TextField(max_length=COMMENT_LENGTH, blank=True)
    # How often its links were revoked; links of an earlier generation are invalid.
    link_generation = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "approval"
        verbose_name_plural = "approvals"
        constraints: ClassVar = [
            # Opening twice changes nothing.
            models.UniqueConstraint(
                fields=["subject_id", "name", "key"], name="approvals_one_per_subject_name_and_key"
            ),
            models.CheckConstraint(
                condition=Q(status__in=ApprovalStatus.values), name="approvals_status_known"
            ),
            models.CheckConstraint(
                condition=Q(default__in=DefaultAction.values), name="approvals_default_known"
            ),
            models.CheckConstraint(
                condition=Q(status=ApprovalStatus.OPEN, decided_at__isnull=True, decided_via="")
                | (
                    ~Q(status=ApprovalStatus.OPEN)
                    & Q(decided_at__isnull=False, decided_via__in=DecidedVia.values)
                ),
                name="approvals_decided_has_time_and_way",
            ),
        ]
        indexes: ClassVar = [
            # Read by the desk and by metrics: open approvals, and those past their deadline.
            models.Index(
                fields=["deadline"], condition=Q(status=ApprovalStatus.OPEN), name="approvals_open"
            ),
            # Read by lists of one status, newest first.
            models.Index(fields=["status", "-id"], name="approvals_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.subject_id}: {self.status}"

    @property
    def label(self) -> str:
        """The kind of decision for people, such as "order review"."""
        return self.name.replace("_", " ")

    @property
    def is_open(self) -> bool:
        return self.status == ApprovalStatus.OPEN

    @property
    def is_approved(self) -> bool:
        return self.status == ApprovalStatus.APPROVED

    @property
    def is_late(self) -> bool:
        """Whether it was decided after its deadline, before a worker had ended the wait."""
        return self.decided_at is not None and self.decided_at > self.deadline

    def agrees_with(self, decision: Decision) -> bool:
        """Return whether this is what was decided."""
        return self.status == STATUS_OF[decision]
