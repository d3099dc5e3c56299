"""``python -m sandbox.stripe_api``: serve the API on this machine until asked to stop."""

import argparse
import asyncio
import signal
import sys
from http import HTTPStatus
from pathlib import Path

import uvloop

from sandbox.stripe_api.api import Api
from sandbox.stripe_api.bank import Bank
from sandbox.stripe_api.call_log import CallLog
from sandbox.stripe_api.control import PREFIX, Control
from sandbox.stripe_api.control_page import ControlPage
from sandbox.stripe_api.faults import FaultMenu
from sandbox.stripe_api.http_server import Request, Response, serve
from sandbox.stripe_api.json_values import encode
from sandbox.stripe_api.ledger import LedgerDamaged, LedgerInUse
from sandbox.stripe_api.origin_check import refusal


def main() -> int:
    options = _options()
    try:
        bank = Bank(options.ledger)
    except (LedgerInUse, LedgerDamaged) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    try:
        uvloop.run(_serve_until_stopped(bank, options))
    finally:
        bank.ledger.close()
    return 0


async def _serve_until_stopped(bank: Bank, options: argparse.Namespace) -> None:
    faults, calls = FaultMenu(options.seed), CallLog()
    api, control = Api(bank, faults, calls), Control(bank, faults, calls)
    page = ControlPage(bank, faults, calls)

    async def respond(request: Request) -> Response:
        is_page = page.serves(request.path)
        if not is_page and not request.path.startswith(PREFIX):
            return await api.respond(request)
        if reason := refusal(request.method, request.headers):
            return Response(HTTPStatus.FORBIDDEN, encode({"error": reason}).encode())
        return await (page if is_page else control).respond(request)

    stopped = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    server, connections = await serve(respond, port=options.port)
    port = server.sockets[0].getsockname()[1]
    if options.port_file is not None:
        _write_whole(options.port_file, f"{port}\n")
    print(f"Stripe sandbox on http://127.0.0.1:{port}, ledger {options.ledger}", flush=True)
    await stopped.wait()
    server.close()
    for connection in list(connections):
        connection.close()


def _write_whole(path: Path, text: str) -> None:
    """So that a reader sees all of it or nothing."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.stripe_api", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it listens")
    parser.add_argument("--ledger", type=Path, required=True, help="made if it is not there")
    parser.add_argument("--seed", type=int, default=0, help="for faults that strike by chance")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
