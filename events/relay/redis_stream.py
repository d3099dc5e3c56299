"""The transport to a Redis stream: consumer groups read it, with any client of Redis or Valkey."""

from collections.abc import Sequence
from typing import Any, Final

from redis import ConnectionPool, RedisError

from events.models import OutboxEvent
from events.relay.cloud_events import as_json
from events.relay.transport import ServerRestarted, TransportUnavailable

TIMEOUT_SECONDS: Final = 3.0


class RedisStream:
    """Adds events to one stream, each entry with its type, its key, and the event as JSON.

    A batch is one transaction: all of it is added or nothing, also if the server's memory is full.
    At least ``max_length`` entries are kept.

    It uses a bare connection. A client of the library connects again in silence, and a batch would
    go to a server that has lost those before.
    """

    name = "redis"

    def __init__(self, url: str, stream: str, *, max_length: int) -> None:
        self._pool = ConnectionPool.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )
        self._trim = ("MAXLEN", "~", max_length)
        self._stream = stream
        self._connection: Any = None  # the library names no type for all kinds of connections
        self._server = ""

    def publish(self, events: Sequence[OutboxEvent], server: str) -> str:
        """Add events; see Transport."""
        try:
            self._connect()
            if server not in ("", self._server):
                raise ServerRestarted(self._server)
            self._execute(("MULTI",), *map(self._addition, events), ("EXEC",))
        except RedisError as error:
            self.close()
            raise TransportUnavailable(f"{type(error).__name__}: {error}") from error
        return self._server

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _addition(self, event: OutboxEvent) -> tuple[Any, ...]:
        fields = ("type", event.name, "key", str(event.key), "event", as_json(event))
        return ("XADD", self._stream, *self._trim, "*", *fields)

    def _connect(self) -> None:
        if self._connection is None:
            self._connection = self._pool.make_connection()
            self._connection.connect()
            [info] = self._execute(("INFO", "server"))
            lines = dict(line.partition(":")[::2] for line in _text(info).splitlines())
            self._server = lines["run_id"]

    def _execute(self, *commands: tuple[Any, ...]) -> list[Any]:
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        replies = [self._connection.read_response() for _ in commands]
        if isinstance(replies[-1], list):
            for reply in replies[-1]:
                if isinstance(reply, RedisError):
                    raise reply
        return replies


def _text(reply: object) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)
