"""Idempotency keys as Stripe's API v1 keeps them: the first answer is the answer, for a day."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sandbox.stripe_api.errors import key_in_use, key_reused, key_too_long
from sandbox.stripe_api.json_values import encode

KEPT_FOR: Final = int(timedelta(hours=24).total_seconds())
MAX_KEY_LENGTH: Final = 255


@dataclass(frozen=True)
class SavedAnswer:
    key: str
    at: int
    path: str
    fingerprint: str
    status: int
    body: str
    object_id: str


def fingerprint_of(pairs: Iterable[tuple[str, str]]) -> str:
    """The same for the same parameters in any order."""
    return hashlib.sha256(encode(sorted(pairs)).encode()).hexdigest()


class IdempotencyKeys:
    def __init__(self) -> None:
        self._saved: dict[str, SavedAnswer] = {}
        self._in_use: set[str] = set()

    def find(self, key: str, *, path: str, fingerprint: str, now: int) -> SavedAnswer | None:
        """Return what the same request was answered before, if it was.

        Raises ``ApiError`` while that request is still running, and when it was another request.
        """
        if len(key) > MAX_KEY_LENGTH:
            raise key_too_long()
        if key in self._in_use:
            raise key_in_use(key)
        self._prune(now)
        saved = self._saved.get(key)
        if saved is not None and saved.path != path:
            raise key_reused(key, differs=f"for the same endpoint ('{saved.path}')")
        if saved is not None and saved.fingerprint != fingerprint:
            raise key_reused(key, differs="with the same parameters")
        return saved

    @contextmanager
    def in_use(self, key: str | None) -> Iterator[None]:
        """Keep other requests with ``key`` out until this one has an answer."""
        if key is None:
            yield
            return
        self._in_use.add(key)
        try:
            yield
        finally:
            self._in_use.remove(key)

    def save(self, answer: SavedAnswer) -> None:
        self._saved[answer.key] = answer

    def _prune(self, now: int) -> None:
        """Forget what is a day old; answers were saved in the order of their times."""
        while self._saved:
            oldest = next(iter(self._saved.values()))
            if oldest.at > now - KEPT_FOR:
                return
            del self._saved[oldest.key]
