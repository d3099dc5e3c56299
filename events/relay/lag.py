"""How far each transport is behind the outbox."""

from dataclasses import dataclass
from datetime import datetime

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
    published_at: datetime | None
    problem: str
    failing_since: datetime | None


def lags() -> list[Lag]:
    """Return the lag of each transport that was ever used, in few statements that count no rows."""
    newest = OutboxEvent.objects.aggregate(newest=Max("number"))["newest"] or 0
    return [
        Lag(
            transport=position.transport,
            waiting=max(newest - position.number, 0),
            seconds=_age(position.number),
            published_at=position.published_at,
            problem=position.problem,
            failing_since=position.failing_since,
        )
        for position in TransportPosition.objects.order_by("transport")
    ]


def _age(after: int) -> float:
    waiting = OutboxEvent.objects.filter(number__gt=after).order_by("number")
    oldest = waiting.values_list("recorded_at", flat=True).first()
    return max((now() - oldest).total_seconds(), 0.0) if oldest else 0.0
