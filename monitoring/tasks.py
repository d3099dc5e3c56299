"""Celery's side of the pulses."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from celery import shared_task
from celery.signals import before_task_publish
from django.utils import timezone

from monitoring.pulses import record

if TYPE_CHECKING:
    from celery import Task

PULSE: Final = "monitoring.pulse"


@before_task_publish.connect(sender=PULSE)
def note_when_it_was_sent(headers: dict[str, Any], **_: Any) -> None:
    headers["sent_at"] = timezone.now().isoformat()


@shared_task(name=PULSE, bind=True)
def pulse(self: "Task[[], None]") -> None:
    """Write down that this worker took a pulse from this queue."""
    sent = self.request.get("sent_at")
    carried = self.request.delivery_info or {}
    record(
        queue=str(carried.get("routing_key", "")),
        worker=self.request.hostname or "",
        sent_at=datetime.fromisoformat(sent) if sent else timezone.now(),
    )
