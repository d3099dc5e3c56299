"""Clients that stop in the middle of a request: the production server frees their threads soon."""

import http.client
import runpy
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn
from pytest_django import Settings

from access.credentials import Scope
from access.models import ApiToken
from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.procfile import ROOT
from sandbox.stripe_process import SandboxServer
from tests.support.application_environment import environment_for
from tests.support.production_processes import OWNED, WEB, Program
from tests.support.waits import wait_until

GIVEN_UP_AFTER = 60
HOST = b"Host: localhost\r\n"
ORDER = b"POST /api/v1/orders HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"


@pytest.fixture
def port(
    transactional_db: None, disconnected_threads: None, sandbox: SandboxServer, tmp_path: Path
) -> Iterator[int]:
    """The port of a web process with four threads and a client time-out of one second."""
    reserved = ReservedPort()
    environment = {
        **environment_for(sandbox),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "THROTTLING": "0",
        "CLIENT_TIMEOUT_SECONDS": "1",
    }
    few = ("--threads", "4", "--keep-alive", str(GIVEN_UP_AFTER))
    address = f"{LOOPBACK}:{reserved.number}"
    web = Program(tmp_path / "web.log", environment, *OWNED, *WEB, address, *few)
    try:
        wait_until(reserved.is_served)
        yield reserved.number
        assert "Traceback" not in web.log.read_text()
    finally:
        web.stop()
        reserved.close()


def test_a_client_that_stops_in_a_request_is_disconnected_and_others_are_served(
    port: int, customer: User
) -> None:
    _, token = ApiToken.objects.issue(customer, scopes=[Scope.READ, Scope.WRITE])
    keyed = f"Authorization: Bearer {token}\r\nIdempotency-Key: once\r\n".encode()
    halves = {
        "line": b"GET /health/l",
        "headers": b"GET /health/live HTTP/1.1\r\n" + HOST + b"X-Ha",
        "chunks": ORDER + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{",
        "body": ORDER + keyed + b"Content-Length: 9\r\n\r\n{",
    }
    with ExitStack() as stack:
        # One for each thread.
        slow = {name: stack.enter_context(connected(port)) for name in halves}
        for name, half in halves.items():
            slow[name].sendall(half)

        good = http.client.HTTPConnection(LOOPBACK, port, timeout=GIVEN_UP_AFTER)
        served = is_served(stack.enter_context(closing(good)))
        responses = {name: read_to_end(client) for name, client in slow.items()}

    assert served
    assert responses["line"] == responses["headers"] == b""
    for name in ("chunks", "body"):
        assert responses[name].startswith(b"HTTP/1.1 408 "), name
        assert b"/problems/request-timeout" in responses[name]


def test_an_idle_connection_between_two_requests_is_kept(
    port: int,
) -> None:
    client = http.client.HTTPConnection(LOOPBACK, port, timeout=GIVEN_UP_AFTER)
    first = is_served(client)
    client.auto_open = 0  # so that it does not reconnect
    readable, _, _ = select.select([client.sock], [], [], 1.5)
    second = is_served(client)
    client.close()

    assert (first, readable, second) == (True, [], True)


def test_reads_and_writes_time_out_after_the_configured_seconds(
    settings: Settings,
) -> None:
    settings.CLIENT_TIMEOUT_SECONDS = 7
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((LOOPBACK, 0)))
        gunicorn_conf()["when_ready"](SimpleNamespace(LISTENERS=[SimpleNamespace(sock=listener)]))
        stack.enter_context(socket.create_connection(listener.getsockname()))
        accepted = stack.enter_context(listener.accept()[0])

        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            seconds, _ = struct.unpack("@ll", accepted.getsockopt(socket.SOL_SOCKET, direction, 16))
            assert seconds == 7


def test_a_connection_is_closed_by_the_thread_that_served_it() -> None:
    """So the thread that accepts connections does not wait for the client to close."""
    worker = gunicorn_conf()["worker_class"](0, 0, [], None, 30, Config(), NullLogger())
    worker.wsgi = hello
    with socket.create_server((LOOPBACK, 0)) as listener:
        client = connected(listener.getsockname()[1])
        client.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        accepted, address = listener.accept()
        connection = TConn(worker.cfg, accepted, address, listener.getsockname())

        goes_on = worker.handle(connection)

    with client:
        assert read_to_end(client).endswith(b"hello")
    assert goes_on is False
    assert accepted.fileno() == -1
    connection.close(graceful=True)
    worker.tmp.close()


def gunicorn_conf() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


def hello(_environ: object, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


class NullLogger:
    """Replaces gunicorn's logger, which needs a whole server."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_kwargs: None


def connected(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=GIVEN_UP_AFTER)


def is_served(client: http.client.HTTPConnection) -> bool:
    client.request("GET", "/health/live")
    with client.getresponse() as response:
        response.read()
        return response.status == HTTPStatus.OK


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    found = b""
    while piece := connection.recv(65_536):
        found += piece
    return found
