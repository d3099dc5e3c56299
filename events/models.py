"""The outbox, and how far each transport has published it."""

from typing import ClassVar

from django.db import models
from django.db.models import Func

from clock.now import Now
from sagas.identifiers import new_id


class NextNumber(Func):
    """The next number of an event. The function gives the transaction its id first: see ``reading``."""

    function = "events_next_number"
    arity = 0
    output_field = models.BigIntegerField()


class OutboxEvent(models.Model):
    """One event. ``events.services`` inserts it; afterwards it never changes."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # In order for each key. 0 for events from before there were relays: these are not relayed.
    number = models.BigIntegerField(editable=False, db_default=NextNumber())
    name = models.CharField(max_length=64)
    version = models.PositiveSmallIntegerField()
    key = models.UUIDField()
    correlation_id = models.UUIDField()
    payload = models.JSONField()
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "event"
        verbose_name_plural = "events"
        indexes: ClassVar = [
            # Read by the timeline of one order.
            models.Index(fields=["key", "id"], name="events_by_key"),
            # Read by relays.
            models.Index(fields=["number"], name="events_by_number"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version} of {self.key}"


class TransportPosition(models.Model):
    """How far one transport has published the outbox. ``events.relay.positions`` writes it.

    The relay with an unexpired lease publishes. Each lease raises ``fence``, so a relay that comes
    back after its lease finds another number and moves nothing.
    """

    transport = models.CharField(primary_key=True, max_length=32)
    # The number of the last event that was published: all up to it were.
    number = models.BigIntegerField()
    # These stay published although the transport's server restarts.
    safe_number = models.BigIntegerField()
    fence = models.PositiveBigIntegerField(default=0)
    relay = models.CharField(max_length=100, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    # The run of the server to which it was published: a restart may lose the last ones.
    server = models.CharField(max_length=100, blank=True)
    # Why it cannot publish, and since when; empty while it can.
    problem = models.CharField(max_length=255, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "transport"
        verbose_name_plural = "transports"

    def __str__(self) -> str:
        return self.transport
