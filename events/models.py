"""The outbox: one row per event."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from clock.now import Now
from sagas.identifiers import new_id


class OutboxEvent(models.Model):
    """One event. ``events.services`` inserts it; afterwards only ``relayed_at`` may change."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=64)
    version = models.PositiveSmallIntegerField()
    key = models.UUIDField()
    correlation_id = models.UUIDField()
    payload = models.JSONField()
    recorded_at = models.DateTimeField(db_default=Now())
    relayed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "event"
        verbose_name_plural = "events"
        indexes: ClassVar = [
            # Read by the timeline of one order.
            models.Index(fields=["key", "id"], name="events_by_key"),
            # Read by a relay: events not yet published.
            models.Index(
                fields=["id"], condition=Q(relayed_at__isnull=True), name="events_to_relay"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version} of {self.key}"
