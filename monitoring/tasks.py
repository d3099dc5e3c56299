"""The Celery task of the heartbeats."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from celery import shared_task
from celery.signals import before_task_publish
from django.utils import timezone

from monitoring.heartbeats import record

if TYPE_CHECKING:
    from celery import Task

HEARTBEAT: Final = "monitoring.heartbeat"


@before_task_publish.connect(sender=HEARTBEAT)
def add_sent_at(headers: dict[str, Any], **_: Any) -> None:
    """Add the time of sending to the message, from which the lag is computed."""
    headers["sent_at"] = timezone.now().isoformat()


@shared_task(name=HEARTBEAT, bind=True)
def heartbeat(self: "Task[[], None]") -> None:
    """Store that this worker took a heartbeat from this queue."""
    sent_at = self.request.get("sent_at")
    delivery = self.request.delivery_info or {}
    record(
        queue=str(delivery.get("routing_key", "")),
        worker=self.request.hostname or "",
        sent_at=datetime.fromisoformat(sent_at) if sent_at else timezone.now(),
    )
