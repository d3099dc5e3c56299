"""All calls of this application to an outside service.

A module makes one ``OutsideService``, and makes every call through it. A call inside a database
transaction raises an error. Each call has a deadline and a rate limit, is counted, and is traced.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, Final
from weakref import WeakSet

from django.conf import settings

from outbound.deadline import Deadline
from outbound.errors import (
    AccessDenied,
    CallInsideTransaction,
    NoAnswer,
    RequestRejected,
    ServiceBusy,
)
from outbound.http_transport import HttpTransport, Response
from outbound.metrics import counted
from outbound.rate_limit import CallRate, make_rate_limit
from outbound.transaction_guard import is_transaction_open

UNLIMITED: Final = CallRate(per_second=0, fallback_per_second=0)

_BUSY: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_DENIED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(slots=True)
class Call:
    """One call in progress, and its answer once that has arrived whole."""

    service: str
    operation: str
    deadline: Deadline
    response: Response | None = None


_current_call: ContextVar[Call] = ContextVar("current_call")


class OutsideService:
    """One service outside this application. Threads share it, and a fork opens its own connections.

    ``base_url`` and ``rate`` are read at each call, so that they may come from settings.
    ``outcomes`` names, for the metrics, errors that the caller raises inside ``call``.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: Callable[[], str] = lambda: "",
        ca_file: str | None = None,
        rate: Callable[[], CallRate] = lambda: UNLIMITED,
        headers: Callable[[], Mapping[str, str]] = dict,
        outcomes: Mapping[type[Exception], str] | None = None,
    ) -> None:
        self.name = name
        self._base_url = base_url
        self._ca_file = ca_file
        self._rate = rate
        self._headers = headers
        self._outcomes = outcomes or {}
        self.reset()
        _services.add(self)

    def reset(self) -> None:
        """Open new connections and a new rate limit: a forked process must not share them."""
        self._transport = HttpTransport(ca_file=self._ca_file)
        self._rate_limit = lru_cache(maxsize=1)(partial(make_rate_limit, self.name))

    @contextmanager
    def call(self, operation: str, deadline: Deadline) -> Iterator[Call]:
        """Allow ``send`` inside the block; count and trace the block as one call.

        Raises CallInsideTransaction, DeadlinePassed or RateLimited before anything is sent.
        """
        with counted(self.name, operation, self._outcomes):
            if is_transaction_open():
                raise CallInsideTransaction(f"{self.name}: {operation}")
            if (rate := self._rate()).per_second:
                self._rate_limit(rate, settings.REDIS_URL).acquire(deadline)
            call = Call(self.name, operation, deadline)
            token = _current_call.set(call)
            try:
                yield call
            finally:
                _current_call.reset(token)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> Response:
        """Send one request of the current call, once. Raises DeadlinePassed and NoAnswer."""
        call = current_call()
        call.response = self._transport.send(method, url, headers, body, deadline=call.deadline)
        return call.response

    def get(self, operation: str, path: str, *, deadline: Deadline) -> dict[str, Any]:
        """Read a JSON object. Raises what ``post`` raises."""
        return self._request(operation, "GET", path, deadline=deadline)

    def post(
        self,
        operation: str,
        path: str,
        content: Mapping[str, Any],
        *,
        key: str,
        deadline: Deadline,
    ) -> dict[str, Any]:
        """Send a JSON object under an idempotency key, and return the JSON object of the answer.

        Store ``key`` before the first call and repeat it, with the same content, on each retry.
        Raises one of OUTBOUND_TRANSIENT, NoAnswer (the service may have acted), AccessDenied,
        RequestRejected, or CallInsideTransaction. Treat a crash during the call as NoAnswer.
        """
        if not key:
            raise ValueError("a call that changes something needs its stored key")
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        body = json.dumps(content)
        return self._request(operation, "POST", path, headers=headers, body=body, deadline=deadline)

    def _request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> dict[str, Any]:
        with self.call(operation, deadline):
            url = f"{self._base_url().rstrip('/')}{path}"
            all_headers = {"Accept": "application/json", **self._headers(), **(headers or {})}
            return _read(self.send(method, url, all_headers, body), f"{self.name}: {operation}")


def current_call() -> Call:
    """Return the call that this thread is making. Raises LookupError outside of one."""
    return _current_call.get()


def _read(response: Response, what: str) -> dict[str, Any]:
    """Return the answer of a 2xx; raise the error that fits any other status."""
    status = response.status
    text = f"{what}: {status}"
    if status in _BUSY:
        raise ServiceBusy(text)
    if status in _DENIED:
        raise AccessDenied(text)
    try:
        answer = json.loads(response.text or "{}")
    except ValueError:
        answer = None
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        details = answer if isinstance(answer, dict) else {}
        raise RequestRejected(text, status=status, answer=details)
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise NoAnswer(text)
    if not isinstance(answer, dict):
        raise NoAnswer(f"{text}, unreadable")
    return answer


_services: WeakSet[OutsideService] = WeakSet()


def _reset_all() -> None:
    for service in list(_services):
        service.reset()


# A child must not use its parent's connections, nor inherit a lock that a thread of the parent held.
os.register_at_fork(after_in_child=_reset_all)
