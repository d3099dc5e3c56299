"""The edges of a chaos run, and a client of the proxy's control port."""

import json
import socket
from collections import Counter
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from proof.chaos.fault_proxy import Behaviour
from sandbox.ports import LOOPBACK
from sandbox.programs import POSTGRES, STRIPE, VALKEY

CONTROL: Final = "proxy-control"
REPLY_SECONDS: Final = 10


class Edge(NamedTuple):
    """A connection path through the proxy. Its port has the same name."""

    name: str
    server: str


WEB_POSTGRES: Final = Edge("web-postgres", POSTGRES)
WEB_VALKEY: Final = Edge("web-valkey", VALKEY)
WORKERS_POSTGRES: Final = Edge("workers-postgres", POSTGRES)
WORKERS_VALKEY: Final = Edge("workers-valkey", VALKEY)
WORKERS_STRIPE: Final = Edge("workers-stripe", STRIPE)
EDGES: Final = (WEB_POSTGRES, WEB_VALKEY, WORKERS_POSTGRES, WORKERS_VALKEY, WORKERS_STRIPE)


class ProxyControl:
    """A connection to the proxy's control port. For one thread; ``with`` closes it."""

    def __init__(self, control_port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, control_port), REPLY_SECONDS)
        self._replies = self._socket.makefile("r", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._replies.close()
        self._socket.close()

    def behave(self, edge: str, behaviour: Behaviour) -> None:
        """Set an edge's behaviour. Returns once it applies, also to open connections."""
        self._send({"edge": edge, **behaviour._asdict()})

    def affected(self, edge: str) -> Counter[str]:
        """Return how often each mode has affected data or a connection."""
        return Counter(self._send({"edge": edge})["affected"])

    def accepted(self, edge: str) -> int:
        """Return how many connections clients have made."""
        return int(self._send({"edge": edge})["accepted"])

    def _send(self, command: dict[str, object]) -> dict[str, Any]:
        self._socket.sendall(json.dumps(command).encode() + b"\n")
        reply: dict[str, Any] = json.loads(self._replies.readline())
        return reply
