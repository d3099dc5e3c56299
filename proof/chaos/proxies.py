"""The edges of a chaos run, and how their behaviour is changed from outside the proxy."""

import json
import socket
from collections import Counter
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from proof.chaos.fault_proxy import Behaviour
from sandbox.ports import LOOPBACK
from sandbox.programs import POSTGRES, STRIPE, VALKEY

CONTROL: Final = "proxy-control"
ANSWER_SECONDS: Final = 10


class Edge(NamedTuple):
    """A way that goes through the proxy. Its name is that of its port too."""

    name: str
    server: str


WEB_POSTGRES: Final = Edge("web-postgres", POSTGRES)
WEB_VALKEY: Final = Edge("web-valkey", VALKEY)
WORKERS_POSTGRES: Final = Edge("workers-postgres", POSTGRES)
WORKERS_VALKEY: Final = Edge("workers-valkey", VALKEY)
WORKERS_BANK: Final = Edge("workers-bank", STRIPE)
EDGES: Final = (WEB_POSTGRES, WEB_VALKEY, WORKERS_POSTGRES, WORKERS_VALKEY, WORKERS_BANK)


class Proxies:
    """The running proxy's controls. For one thread; ``with`` closes the connection to it."""

    def __init__(self, control_port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, control_port), ANSWER_SECONDS)
        self._answers = self._socket.makefile("r", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._answers.close()
        self._socket.close()

    def behave(self, edge: str, behaviour: Behaviour) -> None:
        """Return once the edge behaves so, connections that exist included."""
        self._tell({"edge": edge, **behaviour._asdict()})

    def struck(self, edge: str) -> Counter[str]:
        """Return how often each mode has met something that was sent."""
        return Counter(self._tell({"edge": edge})["struck"])

    def accepted(self, edge: str) -> int:
        """Return how many connections clients have made."""
        return int(self._tell({"edge": edge})["accepted"])

    def _tell(self, wish: dict[str, object]) -> dict[str, Any]:
        self._socket.sendall(json.dumps(wish).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer
