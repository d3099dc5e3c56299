"""An HTTP server on the loopback interface that can also truncate, drop and reset responses."""

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
LINGER_SECONDS = 2.0  # so that a rejected client can read the response
SILENCE_SECONDS = 30.0
"""How long a connection without a response stays open, unless its client closes it first."""


class Delivery(Enum):
    """How a response is delivered."""

    WHOLE = auto()
    HALF = auto()  # all headers, half of the body, then the connection closes
    NONE = auto()  # nothing is sent
    RESET = auto()  # a TCP reset instead of a response


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
    """One client connection. Responds to its requests one after the other, in their order.

    A request is carried out even if its client disconnects, as at a real server.
    """

    def __init__(self, respond: Responder, connections: "set[Connection]") -> None:
        self._respond = respond
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._is_rejected = False
        self._received = 0
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, because uvloop's transports are not subclasses of asyncio's.
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
        if self._is_rejected:
            return
        self._received += len(data)
        if self._received > MAX_REQUEST_BYTES:
            self._reject(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._reject(HTTPStatus.BAD_REQUEST)

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
            self._task = asyncio.get_running_loop().create_task(self._process_waiting())

    async def _process_waiting(self) -> None:
        try:
            while self._waiting:
                request, keep_alive = self._waiting.popleft()
                response = await self._respond(request)
                await self._deliver(response, keep_alive=keep_alive)
        except Exception:
            # After a bug of the sandbox the client must not wait for a time-out.
            self._transport.abort()
            raise
        finally:
            self._task = None

    async def _deliver(self, response: Response, *, keep_alive: bool) -> None:
        if self._transport.is_closing() or self._is_rejected:
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

    def _reject(self, status: HTTPStatus) -> None:
        self._is_rejected = True
        self._transport.write(_head(Response(status), keep_alive=False))
        # Closing it with unread bytes would reset the connection, and lose the response.
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)

    def _reset(self) -> None:
        linger_zero = struct.pack("ii", 1, 0)
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        self._transport.abort()


async def serve(respond: Responder, *, port: int) -> tuple[asyncio.Server, set[Connection]]:
    """Listen on the loopback interface. Returns the server, and the set of its open connections."""
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
