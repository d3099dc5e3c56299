"""How many requests of a kind may hold a thread of this process at once."""

import threading

from django.conf import settings


class Slots:
    """Counts those that are taken; how many there are is a setting."""

    def __init__(self, setting: str) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        self._taken = 0

    def take(self) -> bool:
        """Take one, if there is one left."""
        with self._lock:
            most: int = getattr(settings, self._setting)
            is_free = self._taken < most
            self._taken += is_free
            return is_free

    def give_back(self) -> None:
        with self._lock:
            self._taken -= 1
