"""HTTP on a loopback socket: whole requests in, whole answers out, or torn ones when asked."""

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import cast

import httptools

MAX_REQUEST_BYTES = 512 * 1024
LINGER_SECONDS = 2.0  # for whoever is refused to read why
SILENCE_SECONDS = 30.0
"""How long an unanswered connection is kept open, unless its client hangs up before."""


class Delivery(Enum):
    """What becomes of an answer on its way out."""

    WHOLE = auto()
    HALF = auto()  # all headers, half of the body, then the connection closes
    NONE = auto()  # silence
    RESET = auto()  # a TCP reset instead of an answer


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.WHOLE
    content_type: str = "application/json"


Responder = Callable[[Request], Awaitable[Response]]


class Connection(asyncio.Protocol):
    """One client: answers its requests one after the other, in the order they came.

    A client that hangs up does not stop the request it has sent, as with any real server.
    """

    def __init__(self, respond: Responder, connections: "set[Connection]") -> None:
        self._respond = respond
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._is_refused = False
        self._received = 0
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since uvloop does not derive its transports from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._connections.discard(self)
        self._gone.set()

    def close(self) -> None:
        self._transport.abort()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._received += len(data)
        if self._received > MAX_REQUEST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        url = httptools.parse_url(self._url)
        request = Request(
            method=self._parser.get_method().decode(),
            path=url.path.decode("latin-1"),
            query=url.query or b"",
            headers=self._headers,
            body=bytes(self._body),
        )
        self._received = 0
        self._waiting.append((request, self._parser.should_keep_alive()))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer_waiting())

    async def _answer_waiting(self) -> None:
        try:
            while self._waiting:
                request, keep_alive = self._waiting.popleft()
                response = await self._respond(request)
                await self._deliver(response, keep_alive=keep_alive)
        except Exception:
            # A bug of the sandbox must not look like slowness: the client learns at once.
            self._transport.abort()
            raise
        finally:
            self._task = None

    async def _deliver(self, response: Response, *, keep_alive: bool) -> None:
        if self._transport.is_closing() or self._is_refused:
            return
        match response.delivery:
            case Delivery.WHOLE:
                self._transport.write(_head(response, keep_alive=keep_alive) + response.body)
            case Delivery.HALF:
                half = response.body[: len(response.body) // 2]
                self._transport.write(_head(response, keep_alive=False) + half)
                self._transport.close()
            case Delivery.NONE:
                await asyncio.wait(
                    [asyncio.ensure_future(self._gone.wait())], timeout=SILENCE_SECONDS
                )
                self._transport.close()
            case Delivery.RESET:
                self._reset()
        if not keep_alive:
            self._transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        self._is_refused = True
        self._transport.write(_head(Response(status), keep_alive=False))
        # Closed with something unread, the connection would be reset, and the answer with it.
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)

    def _reset(self) -> None:
        linger_zero = struct.pack("ii", 1, 0)
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        self._transport.abort()


async def serve(respond: Responder, *, port: int) -> tuple[asyncio.Server, set[Connection]]:
    """Listen on the loopback interface only."""
    connections: set[Connection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(respond, connections), "127.0.0.1", port
    )
    return server, connections


def _head(response: Response, *, keep_alive: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    if not keep_alive:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
