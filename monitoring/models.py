"""The heartbeats that workers store."""

from typing import ClassVar

from django.db import models


class WorkerHeartbeat(models.Model):
    """The latest heartbeat that one worker took from one queue; written by ``monitoring.heartbeats``."""

    queue = models.CharField(max_length=64)
    worker = models.CharField(max_length=255)
    # When beat put it on the queue, by the clock of beat's host.
    sent_at = models.DateTimeField()
    # When the worker took it, by the database's clock.
    taken_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            # One row for each queue and worker: the latest heartbeat.
            models.UniqueConstraint(
                fields=["queue", "worker"], name="monitoring_one_heartbeat_per_worker"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.worker} on {self.queue} at {self.taken_at}"
