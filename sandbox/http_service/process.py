"""Runs one of the sandbox's services until SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import uvloop

from sandbox.http_service.control import PREFIX, Control
from sandbox.http_service.http_server import Request, Responder, Response, serve
from sandbox.http_service.json_values import encode
from sandbox.http_service.origin_check import rejection_reason


class Page(Protocol):
    """A page of a service, or several."""

    def serves(self, path: str) -> bool:
        """Return whether this page responds to requests for ``path``."""

    async def respond(self, request: Request) -> Response: ...


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every service has."""
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument(
        "--port-file", type=Path, help="file that gets the port when the service listens"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the faults that hit calls by chance"
    )


def run(respond: Responder, options: argparse.Namespace, *, name: str) -> None:
    """Serve on a loopback port, print the address, and return after SIGTERM or SIGINT."""
    uvloop.run(_serve_until_stopped(respond, options, name))


def with_control(api: Responder, control: Control, pages: Sequence[Page] = ()) -> Responder:
    """Return a responder: it sends control requests to ``control``, pages to their ``Page``, the rest to ``api``.

    Control requests and pages are protected by ``origin_check``.
    """

    async def respond(request: Request) -> Response:
        page = next((page for page in pages if page.serves(request.path)), None)
        if page is None and not request.path.startswith(PREFIX):
            return await api(request)
        if reason := rejection_reason(request.method, request.headers):
            return Response(HTTPStatus.FORBIDDEN, encode({"error": reason}).encode())
        return await (page or control).respond(request)

    return respond


async def _serve_until_stopped(respond: Responder, options: argparse.Namespace, name: str) -> None:
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    server, connections = await serve(respond, port=options.port)
    port = server.sockets[0].getsockname()[1]
    if options.port_file is not None:
        _write_atomically(options.port_file, f"{port}\n")
    print(f"{name} on http://127.0.0.1:{port}", flush=True)
    await stopped.wait()
    server.close()
    for connection in list(connections):
        connection.close()


def _write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)
