"""A provider for the answers that no provider should give: it says whatever the test tells it to."""

import json
import socket
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    body: str | bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: str


def payment_answer(**fields: Any) -> Answer:
    """What Stripe says of an unconfirmed intent, as far as we read it."""
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "requires_confirmation",
        "amount": 1200,
        "amount_capturable": 0,
        "amount_received": 0,
        "currency": "eur",
        "last_payment_error": None,
        "metadata": {},
        "created": 1_790_000_000,
    }
    return Answer(json.dumps({**intent, **fields}))


def error_answer(status: int, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
    return Answer(json.dumps({"error": fields}), status, headers or {})


class CannedServer(ThreadingHTTPServer):
    """Gives ``first_answers`` in turn and then ``answer`` for ever; remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.first_answers: list[Answer] = []
        self.answer = payment_answer()
        self.requests: list[Request] = []
        self.connections = 0
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        self.connections += 1
        return super().get_request()


class _Handler(BaseHTTPRequestHandler):
    server: CannedServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.requests.append(
            Request(self.command, self.path, dict(self.headers.items()), body)
        )
        first = self.server.first_answers
        answer = first.pop(0) if first else self.server.answer
        content = answer.body.encode() if isinstance(answer.body, str) else answer.body
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(content)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the parent's name
        """Stay silent."""
