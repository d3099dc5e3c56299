"""The session's Valkey as a worker finds it: what waits in Celery's queues."""

import base64
import json
from typing import Any, Final

from django.conf import settings
from redis import Redis

QUEUES: Final = ("checkout", "settlement", "compensation", "sweeps")


class Broker:
    """The session's Valkey, as a worker would find it."""

    def __init__(self) -> None:
        self._redis = Redis.from_url(settings.REDIS_URL)
        self._prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]

    def clear(self) -> None:
        self._redis.delete(*(self._prefix + each for each in QUEUES))

    def close(self) -> None:
        self._redis.close()

    def messages(self, name: str) -> list[dict[str, Any]]:
        """What waits in a queue, oldest first."""
        return [json.loads(each) for each in self._redis.lrange(self._prefix + name, 0, -1)][::-1]

    def run_ids(self, name: str) -> list[str]:
        """For which runs the messages of a queue are."""
        bodies = [json.loads(base64.b64decode(each["body"])) for each in self.messages(name)]
        return [run_id for args, _, _ in bodies for run_id in args[0]]

    def everywhere(self) -> list[dict[str, Any]]:
        """What waits in all queues together."""
        return [message for name in QUEUES for message in self.messages(name)]

    def count(self) -> int:
        return len(self.everywhere())
