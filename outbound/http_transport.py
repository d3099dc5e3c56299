"""HTTP connections to one outside service, kept open between calls."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import urllib3

from outbound.deadline import Deadline
from outbound.errors import NoAnswer

CONNECT_TIMEOUT = timedelta(seconds=2)
"""The time to connect. An unreachable service fails early; the rest of the deadline is for the answer."""

CONNECTIONS_KEPT = 100
"""At least the threads of one worker process, so that each finds an open connection."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    text: str


class HttpTransport:
    """Threads share it; processes must not. Uses no proxy and follows no redirect."""

    def __init__(self, *, ca_file: str | None = None) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS_KEPT,
            ssl_context=ssl.create_default_context(cafile=ca_file),
        )

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: str | None,
        *,
        deadline: Deadline,
    ) -> Response:
        """Send one request, once, and wait for its whole answer.

        Raises DeadlinePassed when no time is left to send it. Raises NoAnswer without a
        whole, readable answer. It waits for a silent service until the deadline, not longer. Only a
        body that arrives slowly may end later.
        """
        timeout = urllib3.Timeout(
            connect=CONNECT_TIMEOUT.total_seconds(), total=deadline.remaining()
        )
        try:
            answer = self._pool.request(
                method, url, body=body, headers=headers, timeout=timeout, retries=False
            )
            text = answer.data.decode()
        except (urllib3.exceptions.HTTPError, UnicodeDecodeError) as error:
            # Only the type: the texts of such errors repeat addresses and contents.
            raise NoAnswer(type(error).__name__) from None
        return Response(answer.status, answer.headers, text)
