"""Connections to the bank that stay open, and the one request that a thread is making on them."""

import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

import urllib3

from payments.deadline import Deadline

CONNECT_TIMEOUT = timedelta(seconds=2)
"""A bank that cannot be reached is given up early; the rest of the deadline is for its answer."""

CONNECTIONS_KEPT = 100
"""At least the threads of one worker process, so that each finds an open connection."""


@dataclass(slots=True)
class Exchange:
    """One request, and what is known of its answer."""

    operation: str
    deadline: Deadline
    answer_headers: Mapping[str, str] | None = None  # none until a whole answer has come


current_exchange: ContextVar[Exchange] = ContextVar("current_exchange")


class NoAnswer(Exception):
    """The connection gave no whole answer. What was asked for may have been done."""


class HttpTransport:
    """Threads share it; processes must not. Goes through no proxy and follows no redirect."""

    def __init__(self, *, authorities: str) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS_KEPT,
            ssl_context=ssl.create_default_context(cafile=authorities),
        )

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[str, int, Mapping[str, str]]:
        """Send the request of the current exchange once, and wait for all of its answer.

        Raises DeadlinePassed when there was no time to send it, and NoAnswer. The bank's silence
        is what counts against the deadline: a body that drips in can outlast it.
        """
        exchange = current_exchange.get()
        timeout = urllib3.Timeout(
            connect=CONNECT_TIMEOUT.total_seconds(), total=exchange.deadline.remaining()
        )
        try:
            answer = self._pool.request(
                method, url, body=body, headers=headers, timeout=timeout, retries=False
            )
            text = answer.data.decode()
        except (urllib3.exceptions.HTTPError, UnicodeDecodeError) as error:
            # By its type alone: the text of such errors repeats addresses and contents.
            raise NoAnswer(type(error).__name__) from None
        exchange.answer_headers = answer.headers
        return text, answer.status, answer.headers
