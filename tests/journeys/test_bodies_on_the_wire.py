"""Request bodies over a socket to the production server: too long, in chunks, malformed."""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.process_lifetime import owned_environment
from tests.support.production_processes import OWNED, WEB, Program
from tests.support.waits import wait_until

TEN_MEGABYTES = 10_000_000
MOST_ACCEPTED = 1_000_000  # the sockets' buffers, and what the server drains before it closes
PIECE = b"x" * 16_384
SECONDS = 60
PAGE = b"GET /problems/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
ORDER = (
    b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nIdempotency-Key: once\r\n"
)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a web server without a database: no request here reaches one."""
    reserved = ReservedPort()
    environment = {
        **owned_environment(os.environ),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "STRIPE_API_KEY": "sk_test_never_called",
    }
    log = tmp_path_factory.mktemp("web") / "web.log"
    web = Program(log, environment, *OWNED, *WEB, f"{LOOPBACK}:{reserved.number}")
    wait_until(reserved.is_served)
    yield reserved.number
    web.stop()
    reserved.close()


@pytest.fixture
def wire(port: int) -> Iterator[socket.socket]:
    with closing(socket.create_connection((LOOPBACK, port), timeout=SECONDS)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        yield connection


def test_a_body_of_ten_megabytes_is_rejected_before_it_is_sent(wire: socket.socket) -> None:
    wire.sendall(ORDER + f"Content-Length: {TEN_MEGABYTES}\r\n\r\n".encode())

    head, body = read_response(wire)

    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in head
    assert b"/problems/body-too-large" in body


def test_a_client_that_sends_ten_megabytes_anyway_is_cut_off(wire: socket.socket) -> None:
    wire.sendall(ORDER + f"Content-Length: {TEN_MEGABYTES}\r\n\r\n".encode())

    sent, responses = send_until_response(wire, PIECE, until=TEN_MEGABYTES)

    assert sent < MOST_ACCEPTED
    assert responses.count(b"HTTP/1.1 ") == 1
    assert responses.startswith(b"HTTP/1.1 413 ")


def test_endless_chunks_are_rejected_at_the_limit(wire: socket.socket) -> None:
    wire.sendall(ORDER + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = f"{len(PIECE):x}\r\n".encode() + PIECE + b"\r\n"

    sent, responses = send_until_response(wire, chunk, until=TEN_MEGABYTES)

    assert sent < MOST_ACCEPTED
    assert responses.count(b"HTTP/1.1 ") == 1
    assert responses.startswith(b"HTTP/1.1 413 ")
    assert b"/problems/body-too-large" in responses


def test_the_content_of_a_rejected_body_is_never_read_as_a_request(wire: socket.socket) -> None:
    smuggled = PAGE * 2_000
    wire.sendall(ORDER + f"Content-Length: {TEN_MEGABYTES}\r\n\r\n".encode())

    _, responses = send_until_response(wire, smuggled, until=TEN_MEGABYTES)

    assert responses.count(b"HTTP/1.1 ") == 1
    assert responses.startswith(b"HTTP/1.1 413 ")


def test_the_connection_can_be_used_again_after_a_chunked_body(
    wire: socket.socket,
) -> None:
    wire.sendall(ORDER + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    rejected, _ = read_response(wire)
    wire.sendall(PAGE)
    found, page = read_response(wire)

    assert rejected.startswith(b"HTTP/1.1 401 ")
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b"</html>" in page


@pytest.mark.parametrize(
    "head",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Length: -2\r\n\r\n{}",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
    ids=["no number", "a negative chunk", "two lengths", "a negative length", "length and chunks"],
)
def test_a_body_of_ambiguous_length_is_rejected(wire: socket.socket, head: bytes) -> None:
    wire.sendall(ORDER + head)

    responses = read_to_end(wire)

    assert responses.count(b"HTTP/1.1 ") == 1
    assert responses.startswith(b"HTTP/1.1 400 ")
    assert b"Traceback" not in responses


def test_a_charset_that_is_not_a_text_encoding_is_ignored(wire: socket.socket) -> None:
    wire.sendall(
        b"GET /problems/?number=%41 HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json; charset=hex\r\n\r\n"
    )

    head, _ = read_response(wire)

    assert head.startswith(b"HTTP/1.1 200 ")


def send_until_response(wire: socket.socket, piece: bytes, *, until: int) -> tuple[int, bytes]:
    """Send pieces until the server responds; return the number of bytes sent, and the responses."""
    sent = 0
    while sent < until:
        readable, writable, _ = select.select([wire], [wire], [], SECONDS)
        assert readable or writable, "the server neither reads nor responds"
        if readable:
            break
        try:
            sent += wire.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            break
    return sent, read_to_end(wire)


def read_response(wire: socket.socket) -> tuple[bytes, bytes]:
    """Read one response; return its head and its body."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(wire)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += receive(wire)
    return head, body


def receive(wire: socket.socket) -> bytes:
    received = wire.recv(65_536)
    assert received, "the connection ended inside a response"
    return received


def read_to_end(wire: socket.socket) -> bytes:
    """Read until the server closes."""
    received = b""
    try:
        while more := wire.recv(65_536):
            received += more
    except ConnectionResetError:  # because of unread bytes; the response arrived before
        pass
    return received
