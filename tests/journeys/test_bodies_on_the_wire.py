"""Bodies as they come over a socket to the server of production: too long, in pieces, in disorder."""

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
FAR_LESS = 1_000_000  # what buffers on the way hold, and what the server drains to say good-bye
PIECE = b"x" * 16_384
SECONDS = 60
PAGE = b"GET /problems/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
ORDER = (
    b"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nIdempotency-Key: once\r\n"
)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a web server answers that asks no database: nobody here gets that far."""
    reserved = ReservedPort()
    environment = {
        **owned_environment(os.environ),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "STRIPE_API_KEY": "sk_test_nobody_asks",
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


def test_a_body_of_ten_megabytes_is_refused_before_any_of_it_was_sent(wire: socket.socket) -> None:
    wire.sendall(ORDER + f"Content-Length: {TEN_MEGABYTES}\r\n\r\n".encode())

    head, body = answer_on(wire)

    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in head
    assert b"/problems/body-too-large" in body


def test_whoever_sends_ten_megabytes_nevertheless_is_cut_off_soon(wire: socket.socket) -> None:
    wire.sendall(ORDER + f"Content-Length: {TEN_MEGABYTES}\r\n\r\n".encode())

    sent, answers = send_on(wire, PIECE, until=TEN_MEGABYTES)

    assert sent < FAR_LESS
    assert answers.count(b"HTTP/1.1 ") == 1
    assert answers.startswith(b"HTTP/1.1 413 ")


def test_chunks_without_an_end_are_refused_at_the_limit(wire: socket.socket) -> None:
    wire.sendall(ORDER + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = f"{len(PIECE):x}\r\n".encode() + PIECE + b"\r\n"

    sent, answers = send_on(wire, chunk, until=TEN_MEGABYTES)

    assert sent < FAR_LESS
    assert answers.count(b"HTTP/1.1 ") == 1
    assert answers.startswith(b"HTTP/1.1 413 ")
    assert b"/problems/body-too-large" in answers


def test_what_is_in_a_refused_body_is_never_taken_for_a_request(wire: socket.socket) -> None:
    smuggled = PAGE * 2_000
    wire.sendall(ORDER + f"Content-Length: {TEN_MEGABYTES}\r\n\r\n".encode())

    _, answers = send_on(wire, smuggled, until=TEN_MEGABYTES)

    assert answers.count(b"HTTP/1.1 ") == 1
    assert answers.startswith(b"HTTP/1.1 413 ")


def test_after_a_body_in_chunks_the_connection_is_good_for_the_next_request(
    wire: socket.socket,
) -> None:
    wire.sendall(ORDER + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    refused, _ = answer_on(wire)
    wire.sendall(PAGE)
    found, page = answer_on(wire)

    assert refused.startswith(b"HTTP/1.1 401 ")
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
def test_a_body_of_disputed_length_is_refused(wire: socket.socket, head: bytes) -> None:
    wire.sendall(ORDER + head)

    answers = everything_on(wire)

    assert answers.count(b"HTTP/1.1 ") == 1
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert b"Traceback" not in answers


def test_a_charset_that_is_no_text_ends_no_request(wire: socket.socket) -> None:
    wire.sendall(
        b"GET /problems/?number=%41 HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json; charset=hex\r\n\r\n"
    )

    head, _ = answer_on(wire)

    assert head.startswith(b"HTTP/1.1 200 ")


def send_on(wire: socket.socket, piece: bytes, *, until: int) -> tuple[int, bytes]:
    """Send piece after piece until somebody answers; how many bytes went, and all that came."""
    sent = 0
    while sent < until:
        readable, writable, _ = select.select([wire], [wire], [], SECONDS)
        assert readable or writable, "nobody takes anything, and nobody says anything"
        if readable:
            break
        try:
            sent += wire.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            break
    return sent, everything_on(wire)


def answer_on(wire: socket.socket) -> tuple[bytes, bytes]:
    """Read one answer; its head and its body."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += received_on(wire)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += received_on(wire)
    return head, body


def received_on(wire: socket.socket) -> bytes:
    received = wire.recv(65_536)
    assert received, "the connection ended in the middle"
    return received


def everything_on(wire: socket.socket) -> bytes:
    """Read until the server closes."""
    received = b""
    try:
        while more := wire.recv(65_536):
            received += more
    except ConnectionResetError:  # by bytes that nobody read: what was said came before
        pass
    return received
