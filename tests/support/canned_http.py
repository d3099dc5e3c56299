"""An HTTP server that gives the responses a test sets, and keeps the requests that it got.

Take it for responses that no real provider gives, and as a receiver of reports. For a provider that
behaves, take the sandbox (fixtures ``sandbox_stripe`` and ``outside_service``).
"""

import gzip
import json
import socket
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


@dataclass(frozen=True)
class CannedResponse:
    """One response that the server is to give."""

    body: str | bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as the server got it, with its body decompressed."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> str:
        return self.content.decode()


def payment_response(**fields: Any) -> CannedResponse:
    """Return Stripe's response with an unconfirmed intent, as far as we read it."""
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
    return CannedResponse(json.dumps({**intent, **fields}))


def refund_response(**fields: Any) -> CannedResponse:
    """Return Stripe's response with a refund, as far as we read it."""
    refund = {
        "id": "re_1",
        "object": "refund",
        "payment_intent": "pi_1",
        "status": "pending",
        "amount": 1200,
        "currency": "eur",
        "metadata": {},
        "created": 1_790_000_000,
    }
    return CannedResponse(json.dumps({**refund, **fields}))


def error_response(
    status: int, headers: dict[str, str] | None = None, **fields: Any
) -> CannedResponse:
    """Return an error response in Stripe's form."""
    return CannedResponse(json.dumps({"error": fields}), status, headers or {})


class CannedServer(ThreadingHTTPServer):
    """Gives ``first_answers`` in turn, then ``answer`` to every request; a context manager."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.first_answers: list[CannedResponse] = []
        self.answer = payment_response()
        self.requests: list[ReceivedRequest] = []
        self.connections = 0
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def bodies(self, path: str) -> list[bytes]:
        """Return what was sent to paths that begin with ``path``, oldest first."""
        return [request.content for request in self.requests if request.path.startswith(path)]

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
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match self.headers.get("Content-Encoding"):
            case "gzip":
                body = gzip.decompress(body)
            case "deflate":
                body = zlib.decompress(body)
        self.server.requests.append(
            ReceivedRequest(self.command, self.path, dict(self.headers.items()), body)
        )
        first = self.server.first_answers
        answer = first.pop(0) if first else self.server.answer
        sent = answer.body.encode() if isinstance(answer.body, str) else answer.body
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(sent)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the parent's name
        """Stay silent."""
