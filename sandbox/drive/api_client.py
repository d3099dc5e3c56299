"""Requests to the storefront's API, repeated until they succeed."""

from typing import Any, Final

import urllib3

from sandbox.drive.deadlines import StopSignal

REQUEST_SECONDS: Final = 180

# The request is repeated under its idempotency key, so it does not act twice: after no response,
# an overload, or while the first request is still running.
_RETRY_STATUSES: Final = frozenset({409, 429, 500, 502, 503, 504})
_ACCEPTED: Final = frozenset({200, 201, 202})


class ShopRefused(Exception):
    """The API rejected the request, or did not respond in time."""


class ApiClient:
    """The API with one token. Safe to use from many threads."""

    def __init__(self, base_url: str, token: str, stop_signal: StopSignal) -> None:
        self._stop_signal = stop_signal
        self._api = f"{base_url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = urllib3.PoolManager(maxsize=64, block=True, retries=False)

    def request(
        self, method: str, path: str, *, key: str | None = None, body: object = None
    ) -> dict[str, Any]:
        """Return the content of the response. Raises ShopRefused, and Stopped."""
        headers = self._headers if key is None else {**self._headers, "Idempotency-Key": key}
        problem = "no response"
        for _ in self._stop_signal.attempts(REQUEST_SECONDS, pause=0.2, longest=1):
            try:
                response = self._http.request(
                    method, f"{self._api}/{path}", headers=headers, json=body, timeout=30
                )
            except urllib3.exceptions.HTTPError as error:
                problem = str(error)
                continue
            if response.status in _ACCEPTED:
                content: dict[str, Any] = response.json()
                return content
            problem = f"{response.status} {response.data.decode()[:300]}"
            if response.status not in _RETRY_STATUSES:
                break
        raise ShopRefused(f"{method} {path}: {problem}")
