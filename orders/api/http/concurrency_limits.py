"""How many requests of a kind may hold a thread of this process at once, and how many for one customer."""

import threading
from collections import Counter
from enum import Enum, auto
from uuid import UUID

from django.conf import settings

Holder = int | UUID
"""Whose slots are counted together: a customer's, or those of a guest's order."""


class Slot(Enum):
    """What became of asking for a slot."""

    TAKEN = auto()
    NONE_LEFT = auto()  # all are taken, by whomever
    SHARE_TAKEN = auto()  # the holder has as many as one may have


class Slots:
    """Counts those that are taken; how many there are, and how many for one, are settings."""

    def __init__(self, setting: str, share_setting: str) -> None:
        self._setting = setting
        self._share_setting = share_setting
        self._lock = threading.Lock()
        self._taken: Counter[Holder] = Counter()

    def take(self, holder: Holder) -> Slot:
        """Take one, if there is one left, and the holder has not had his share."""
        with self._lock:
            if self._taken[holder] >= getattr(settings, self._share_setting):
                return Slot.SHARE_TAKEN
            if self._taken.total() >= getattr(settings, self._setting):
                return Slot.NONE_LEFT
            self._taken[holder] += 1
            return Slot.TAKEN

    def give_back(self, holder: Holder) -> None:
        with self._lock:
            self._taken[holder] -= 1
            self._taken += Counter()  # forgets those who hold none
