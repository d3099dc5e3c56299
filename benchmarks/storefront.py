"""An HTTP client for orders with kept-alive connections, as cheap as possible."""

import asyncio
import json
from typing import Final, NamedTuple, cast

import httptools

RESPONSE_SECONDS: Final = 30
ACCEPTED: Final = 202


class OrderResponse(NamedTuple):
    """The API's response to an order; ``order_id`` is empty unless it was accepted."""

    status: int
    order_id: str
    problem: str  # the last part of the problem's type


class ConnectionLost(Exception):
    """The server closed the connection before it responded."""


class _Connection(asyncio.Protocol):
    """One kept-alive connection; it sends one request at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, because uvloop does not derive its transports from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"location":
            self._location = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.is_open = self.is_open and self._parser.should_keep_alive()
        if not self._response.done():
            status = self._parser.get_status_code()
            self._response.set_result(_response(status, self._location, self._body))

    async def send(self, request: bytes) -> OrderResponse:
        """Return the response.

        Raises ConnectionLost and TimeoutError; the server may have executed the request all the same.
        """
        self._response: asyncio.Future[OrderResponse] = asyncio.get_running_loop().create_future()
        self._location = self._body = b""
        self._transport.write(request)
        # Cheaper per request than asyncio.timeout.
        alarm = asyncio.get_running_loop().call_later(RESPONSE_SECONDS, self._time_out)
        try:
            return await self._response
        finally:
            alarm.cancel()

    def close(self) -> None:
        self.is_open = False
        self._transport.abort()
        response = getattr(self, "_response", None)
        if response is not None and not response.done():
            response.set_exception(ConnectionLost())

    def _time_out(self) -> None:
        if not self._response.done():
            self._response.set_exception(TimeoutError())
        self.close()


class Storefront:
    """Sends one customer's orders. It connects as needed, and uses the last used connection first."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._address = (host, port)
        self._head = (
            f"POST /api/v1/orders HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        )
        self._idle: list[_Connection] = []

    async def order(self, body: bytes, key: str) -> OrderResponse:
        """Place one order under ``key``; repeat it if a kept connection turns out to be closed.

        Raises OSError, ConnectionLost and TimeoutError.
        """
        head = f"{self._head}Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        while self._idle:
            kept = self._idle.pop()
            if kept.is_open:
                try:
                    return await self._send(kept, request)
                except ConnectionLost:
                    break  # the key makes it safe to repeat the request
        return await self._send(await self._connect(), request)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, *self._address)
        return connection

    async def _send(self, connection: _Connection, request: bytes) -> OrderResponse:
        response = await connection.send(request)
        if connection.is_open:
            self._idle.append(connection)
        return response


def _response(status: int, location: bytes, body: bytes) -> OrderResponse:
    if status == ACCEPTED:
        return OrderResponse(status, location.decode().rstrip("/").rpartition("/")[2], "")
    try:
        problem = str(json.loads(body)["type"]).rpartition("/")[2]
    except (ValueError, KeyError, TypeError):
        problem = "no problem details"
    return OrderResponse(status, "", problem)
