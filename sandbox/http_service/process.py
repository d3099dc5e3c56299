"""Serving one of the sandbox's services until a signal asks it to stop."""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path

import uvloop

from sandbox.http_service.control import PREFIX, Control
from sandbox.http_service.http_server import Request, Responder, Response, serve
from sandbox.http_service.json_values import encode
from sandbox.http_service.origin_check import refusal


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every service has."""
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it listens")
    parser.add_argument("--seed", type=int, default=0, help="for faults that strike by chance")


def run(respond: Responder, options: argparse.Namespace, *, name: str) -> None:
    """Serve on a loopback port, say where, and return after SIGTERM or SIGINT."""
    uvloop.run(_serve_until_stopped(respond, options, name))


def with_control(
    api: Responder,
    control: Control,
    *,
    page: Responder | None = None,
    is_page: Callable[[str], bool] = lambda _: False,
) -> Responder:
    """Send control requests to ``control``, those of pages to ``page``, and others to ``api``."""

    async def respond(request: Request) -> Response:
        shows_page = page is not None and is_page(request.path)
        if not shows_page and not request.path.startswith(PREFIX):
            return await api(request)
        if reason := refusal(request.method, request.headers):
            return Response(HTTPStatus.FORBIDDEN, encode({"error": reason}).encode())
        answer: Awaitable[Response] = (
            page(request) if page is not None and shows_page else control.respond(request)
        )
        return await answer

    return respond


async def _serve_until_stopped(respond: Responder, options: argparse.Namespace, name: str) -> None:
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    server, connections = await serve(respond, port=options.port)
    port = server.sockets[0].getsockname()[1]
    if options.port_file is not None:
        _write_whole(options.port_file, f"{port}\n")
    print(f"{name} on http://127.0.0.1:{port}", flush=True)
    await stopped.wait()
    server.close()
    for connection in list(connections):
        connection.close()


def _write_whole(path: Path, text: str) -> None:
    """Write a file at once: a reader sees all of it or nothing."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)
