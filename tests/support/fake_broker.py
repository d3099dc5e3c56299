"""Every message of the shop, taken off the real broker at once, to be delivered as a test likes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kombu import Queue
from kombu.message import Message

from config.celery import app
from sagas.definition import Link
from sagas.dispatch import publish


class PostOffice:
    """Holds what waits, in the order in which it came."""

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        app.loader.import_default_modules()  # the tasks, as a worker imports them when it starts
        self._connection = app.connection_for_read()
        channel: Any = self._connection.default_channel
        self._queues = [Queue(name, channel=channel) for name in app.amqp.queues]
        self.collect()
        self.waiting.clear()

    def hand_over(self, run_id: UUID, links: Sequence[Link]) -> None:
        """Publish at once, and each run by itself, so that a history can be repeated."""
        if links:
            publish([run_id], tuple(links))

    def collect(self) -> None:
        """Take whatever the broker has."""
        for each in self._queues:
            while (message := each.get(no_ack=True, accept=["json"])) is not None:
                self.waiting.append(message)

    def take(self, number: int) -> Message:
        """Take the message with this number, counted round."""
        return self.waiting.pop(number % len(self.waiting))

    def close(self) -> None:
        self._connection.release()
