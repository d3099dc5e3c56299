"""Takes every message off the real broker at once, so that a test chooses when it is delivered.

The messages are Celery's own: a worker of ``worker_threads`` runs them. Where that does not matter,
take ``in_memory_broker``, which needs no broker and is faster.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kombu import Queue
from kombu.message import Message

from config.celery import app
from sagas.definition import Link
from sagas.dispatch import publish


class DrainedBroker:
    """Keeps the waiting messages, oldest first."""

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        app.loader.import_default_modules()  # the tasks, as a worker imports them when it starts
        self._connection = app.connection_for_read()
        channel: Any = self._connection.default_channel
        self._queues = [Queue(name, channel=channel) for name in app.amqp.queues]
        self.collect()
        self.waiting.clear()

    def enqueue(self, run_id: UUID, links: Sequence[Link]) -> None:
        """Publish at once, one message per run, so that a history can be repeated."""
        if links:
            publish([run_id], tuple(links))

    def collect(self) -> None:
        """Take all messages from the real broker."""
        for queue in self._queues:
            while (message := queue.get(no_ack=True, accept=["json"])) is not None:
                self.waiting.append(message)

    def take(self, number: int) -> Message:
        """Remove and return the message with this number, modulo how many wait."""
        return self.waiting.pop(number % len(self.waiting))

    def close(self) -> None:
        self._connection.release()
