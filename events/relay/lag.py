"""How far each transport is behind the outbox."""

from dataclasses import dataclass

from django.db.models import Max

from clock.now import now
from events.models import OutboxEvent, TransportPosition


@dataclass(frozen=True, slots=True)
class Lag:
    """What one transport has not published yet."""

    transport: str
    waiting: int
    """Events that were recorded after the last published one."""
    seconds: float
    """The age of the oldest of these; 0 without one."""
    is_failing: bool


def lags() -> list[Lag]:
    """Return the lag of each transport that was ever used, without counting rows."""
    return [lag_of(position) for position in TransportPosition.objects.order_by("transport")]


def lag_of(position: TransportPosition) -> Lag:
    """Return how far one transport is behind."""
    newest = OutboxEvent.objects.aggregate(newest=Max("number"))["newest"] or 0
    waiting = OutboxEvent.objects.filter(number__gt=position.number).order_by("number")
    oldest = waiting.values_list("recorded_at", flat=True).first()
    return Lag(
        transport=position.transport,
        waiting=max(newest - position.number, 0),
        seconds=max((now() - oldest).total_seconds(), 0.0) if oldest else 0.0,
        is_failing=position.failing_since is not None,
    )
