"""Idempotency keys: the first response under a key is repeated for a day, as in Stripe's API v1."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sandbox.http_service.json_values import encode

KEPT_SECONDS: Final = int(timedelta(hours=24).total_seconds())
MAX_KEY_LENGTH: Final = 255


class KeyTooLong(Exception):
    """The key has more than MAX_KEY_LENGTH characters."""


class KeyInUse(Exception):
    """A request with this key is still running."""


class KeyReused(Exception):
    """The key belongs to another request. ``path`` is its path if the two paths differ."""

    def __init__(self, path: str = "") -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True)
class SavedResponse:
    key: str
    at: int
    path: str
    fingerprint: str
    status: int
    body: str
    object_id: str


def fingerprint_of(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a hash of the parameters that does not depend on their order."""
    return hashlib.sha256(encode(sorted(pairs)).encode()).hexdigest()


class IdempotencyKeys:
    """The responses saved under keys, and the keys of running requests. Use from one event loop."""

    def __init__(self) -> None:
        self._saved: dict[str, SavedResponse] = {}
        self._in_use: set[str] = set()

    def find(self, key: str, *, path: str, fingerprint: str, now: int) -> SavedResponse | None:
        """Return the saved response of the same request, or None.

        Raises KeyInUse, KeyReused or KeyTooLong.
        """
        if len(key) > MAX_KEY_LENGTH:
            raise KeyTooLong
        if key in self._in_use:
            raise KeyInUse
        self._prune(now)
        saved = self._saved.get(key)
        if saved is not None and saved.path != path:
            raise KeyReused(saved.path)
        if saved is not None and saved.fingerprint != fingerprint:
            raise KeyReused
        return saved

    @contextmanager
    def in_use(self, key: str | None) -> Iterator[None]:
        """Mark ``key`` as in use until the block ends: ``find`` then raises KeyInUse."""
        if key is None:
            yield
            return
        self._in_use.add(key)
        try:
            yield
        finally:
            self._in_use.remove(key)

    def save(self, response: SavedResponse) -> None:
        self._saved[response.key] = response

    def _prune(self, now: int) -> None:
        """Forget responses that are a day old. They are stored in the order of their times."""
        while self._saved:
            oldest = next(iter(self._saved.values()))
            if oldest.at > now - KEPT_SECONDS:
                return
            del self._saved[oldest.key]
