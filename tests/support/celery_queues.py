"""What waits in Celery's queues, read from the session's Valkey as a worker would read it.

Take ``in_memory_broker`` to deliver messages, and ``drained_broker`` to deliver Celery's own.
"""

import base64
import json
from typing import Any, Final

from django.conf import settings
from redis import Redis

QUEUES: Final = ("checkout", "settlement", "compensation", "sweeps")


class CeleryQueues:
    """A connection to the broker that reads queues and takes nothing from them."""

    def __init__(self) -> None:
        self._redis = Redis.from_url(settings.REDIS_URL)
        self._prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]

    def clear(self) -> None:
        self._redis.delete(*(self._prefix + queue for queue in QUEUES))

    def close(self) -> None:
        self._redis.close()

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Return what waits in a queue, oldest first."""
        newest_first = self._redis.lrange(self._prefix + queue, 0, -1)
        return [json.loads(message) for message in newest_first][::-1]

    def run_ids(self, queue: str) -> list[str]:
        """Return the runs that the messages of a queue are for, oldest message first."""
        bodies = [json.loads(base64.b64decode(message["body"])) for message in self.messages(queue)]
        return [run_id for args, _, _ in bodies for run_id in args[0]]

    def everywhere(self) -> list[dict[str, Any]]:
        """Return what waits in all queues together."""
        return [message for queue in QUEUES for message in self.messages(queue)]

    def count(self) -> int:
        return len(self.everywhere())
