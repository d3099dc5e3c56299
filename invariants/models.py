"""Recorded findings: what was broken, since when, and how it was resolved."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from invariants.invariant import Kind


class ReconciliationBreak(models.Model):
    """One invariant broken in one place, from when it was first seen to how it was resolved.

    Only ``invariants.break_store`` writes it. Rows are never deleted: an invariant that breaks again
    after a break was resolved gets a new row.
    """

    code = models.CharField(max_length=8)
    kind = models.CharField(max_length=16, choices=Kind)
    # The order's id if it is about one order.
    subject = models.CharField(max_length=255)
    detail = models.TextField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    times_seen = models.PositiveIntegerField(default=1)
    # Set once: an order that staff have resumed is not paused again for the same break.
    order_paused_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.TextField(blank=True)
    # The staff member; empty if a check resolved it.
    resolved_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = "break"
        verbose_name_plural = "breaks"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=Kind.values), name="invariants_break_kind_known"
            ),
            # One open break for each subject: two recorders at once write it once.
            models.UniqueConstraint(
                fields=["code", "subject"],
                condition=Q(resolved_at__isnull=True),
                name="invariants_one_open_break",
            ),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True, resolution="")
                | (Q(resolved_at__isnull=False) & ~Q(resolution="")),
                name="invariants_resolved_with_a_reason",
            ),
        ]
        indexes: ClassVar = [
            # Read by the desk, newest first.
            models.Index(fields=["-first_seen"], name="invariants_breaks_by_age"),
            # Read by an order's page.
            models.Index(fields=["subject"], name="invariants_breaks_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.subject}"

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None
