"""The outbox: events that are true, and whether they have been told to the world."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from sagas.identifiers import new_id


class OutboxEvent(models.Model):
    """One event. Written once, by ``events.services``; only ``relayed_at`` is to change."""

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
            # Read by whoever relays: what the world has not heard.
            models.Index(
                fields=["id"], condition=Q(relayed_at__isnull=True), name="events_to_relay"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version} of {self.key}"
