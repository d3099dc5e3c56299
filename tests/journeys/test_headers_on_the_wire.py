"""Hostile headers over a socket to the production server: each costs little CPU time."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.process_lifetime import owned_environment
from tests.support.production_processes import OWNED, WEB, Program
from tests.support.waits import wait_until

SECONDS = 60
MOST_CPU_SECONDS = 1.0
"""Fifty times what such a request costs, and less than a fifth of what it cost with slow patterns."""

HOST = b"Host: localhost\r\n"
PAGE = b"GET /problems/ HTTP/1.1\r\n" + HOST
END = b"Connection: close\r\n\r\n"
MANY_LINES = 97
"""Gunicorn accepts a hundred lines, and joins those with the same name to one value."""


class Web:
    """A web server without a database: no request here reaches one."""

    def __init__(self, log: Path) -> None:
        self._port = ReservedPort()
        environment = {
            **owned_environment(os.environ),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "STRIPE_API_KEY": "sk_test_not_called",
        }
        self._web = Program(log, environment, *OWNED, *WEB, f"{LOOPBACK}:{self._port.number}")
        wait_until(self._port.is_served)

    def stop(self) -> None:
        self._web.stop()
        self._port.close()

    def send(self, request: bytes) -> bytes:
        """Send a request on a new connection, and return the status line of the response."""
        address = (LOOPBACK, self._port.number)
        with closing(socket.create_connection(address, timeout=SECONDS)) as wire:
            wire.sendall(request)
            received = b""
            while b"\r\n" not in received:
                piece = wire.recv(65_536)
                assert piece, "the connection ended without a response"
                received += piece
        return received.partition(b"\r\n")[0]

    def cpu_seconds(self) -> float:
        return self._web.cpu_seconds()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    started = Web(tmp_path_factory.mktemp("web") / "web.log")
    assert started.send(PAGE + END) == b"HTTP/1.1 200 OK"
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + b"1-" * 3_950 + b"(: x\r\n\r\n", b"400 Bad Request"),
        (b"1-" * 1_900 + b"( / HTTP/1.1\r\n" + HOST + END, b"400 Bad Request"),
        (b"POST /admin/" + b"1-" * 1_900 + b" HTTP/1.1\r\n" + HOST + END, b"403 Forbidden"),
        (PAGE + b"X-Request-ID: " + b"1-" * 3_950 + b"\r\n" + END, b"200 OK"),
        (
            PAGE + (b'Cookie: a="' + b"\\a" * 4_085 + b'"\r\n') * MANY_LINES + END,
            b"431 Request Header Fields Too Large",
        ),
        (
            PAGE + (b"Accept: " + b"a/a," * 2_040 + b"\r\n") * MANY_LINES + END,
            b"431 Request Header Fields Too Large",
        ),
    ],
    ids=["a line that is no header", "a method", "a path", "an id", "cookies", "media types"],
)
def test_an_unauthenticated_request_costs_little_cpu_time(
    web: Web, request_: bytes, status: bytes
) -> None:
    before = web.cpu_seconds()

    response = web.send(request_)

    assert response == b"HTTP/1.1 " + status
    assert web.send(PAGE + END) == b"HTTP/1.1 200 OK"
    assert web.cpu_seconds() - before < MOST_CPU_SECONDS
