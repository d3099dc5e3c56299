"""A TCP proxy that makes the connections between two parts fail the way networks do.

One process carries several *edges*: from a port of its own to a server's port, each with a
behaviour that can be changed at any time and then holds for the connections that exist as well.
What is passed on is never damaged: like TCP it comes late, in pieces, or not at all.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import struct
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final, NamedTuple

import uvloop

from sandbox.ports import LOOPBACK

CHUNK: Final = 65536
SLICE: Final = 7  # bytes: less than any header of the protocols that pass here


class Mode(StrEnum):
    """What becomes of what is sent."""

    PASS = "pass"  # it arrives  # noqa: S105 - a mode
    LATENCY = "latency"  # late, in both directions
    BLACK_HOLE = "black_hole"  # not before the mode ends: TCP repeats what was lost on the way
    RESET = "reset"  # never: every connection is reset, and every new one too
    LOSE_REPLY = "lose_reply"  # the request does, its answer not: a reset comes instead
    SLICE = "slice"  # in pieces of a few bytes


class Behaviour(NamedTuple):
    """How an edge behaves now."""

    mode: Mode = Mode.PASS
    latency_ms: int = 0
    rate: float = 1.0
    """Which share of the answers is lost."""


class Edge:
    """One way from clients to a server."""

    def __init__(self, name: str, upstream: int, seed: str) -> None:
        self.name = name
        self._upstream = upstream
        self._dice = random.Random(f"{seed}/{name}")  # noqa: S311 - chance that can be repeated
        self._behaviour = Behaviour()
        self._open = asyncio.Event()
        self._open.set()
        self._connections: set[Connection] = set()
        self.struck: Counter[str] = Counter()
        self.accepted = 0

    def behave(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        if behaviour.mode == Mode.BLACK_HOLE:
            self._open.clear()
        else:
            self._open.set()
        if behaviour.mode == Mode.RESET:
            for connection in list(self._connections):
                self.struck[Mode.RESET] += 1
                connection.reset()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        client = Side(reader, writer)
        connection = Connection(self, client)
        self._connections.add(connection)
        try:
            await connection.carry(self._upstream)
        finally:
            self._connections.discard(connection)

    async def admits(self) -> bool:
        """Wait out a black hole; tell whether what came may go on at all."""
        if not self._open.is_set():
            self.struck[Mode.BLACK_HOLE] += 1
            await self._open.wait()
        if self._behaviour.mode == Mode.RESET:
            self.struck[Mode.RESET] += 1
            return False
        return True

    async def pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        mode = self._behaviour.mode
        pieces = [data]
        if mode == Mode.LATENCY:
            self.struck[mode] += 1
            await asyncio.sleep(self._behaviour.latency_ms / 1000)
        if mode == Mode.SLICE:
            self.struck[mode] += 1
            pieces = [data[start : start + SLICE] for start in range(0, len(data), SLICE)]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0)

    def loses_this_reply(self) -> bool:
        if self._behaviour.mode != Mode.LOSE_REPLY or self._dice.random() >= self._behaviour.rate:
            return False
        self.struck[Mode.LOSE_REPLY] += 1
        return True


class Side(NamedTuple):
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def reset(self) -> None:
        """Close with a TCP reset, throwing away what has not been sent yet."""
        linger_zero = struct.pack("ii", 1, 0)
        transport = self.writer.transport
        if (own := transport.get_extra_info("socket")) is None or own.fileno() < 0:
            return
        with socket.socket(fileno=os.dup(own.fileno())) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        transport.abort()


class Connection:
    """A client's connection and the one to the server that carries it on."""

    def __init__(self, edge: Edge, client: Side) -> None:
        self._edge = edge
        self._sides = [client]
        self._pumps: list[asyncio.Task[None]] = []

    async def carry(self, upstream: int) -> None:
        """Return once both ends have closed, or the connection was reset."""
        client = self._sides[0]
        try:
            if not await self._edge.admits():
                self.reset()
                return
            server = Side(*await asyncio.open_connection(LOOPBACK, upstream))
            self._sides.append(server)
            ways: list[Coroutine[Any, Any, None]] = [
                self._pump(client.reader, server.writer, is_reply=False),
                self._pump(server.reader, client.writer, is_reply=True),
            ]
            self._pumps = [asyncio.ensure_future(way) for way in ways]
            await asyncio.gather(*self._pumps)
        except (OSError, asyncio.CancelledError):
            self.reset()
        finally:
            for side in self._sides:
                side.writer.close()

    def reset(self) -> None:
        """Cut both ends. What was on its way is lost."""
        for pump in self._pumps:
            pump.cancel()
        for side in self._sides:
            side.reset()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool
    ) -> None:
        while data := await reader.read(CHUNK):
            if not await self._edge.admits() or (is_reply and self._edge.loses_this_reply()):
                raise ConnectionResetError
            await self._edge.pass_on(data, writer)
        if await self._edge.admits() and not writer.is_closing():
            writer.write_eof()


class Control:
    """JSON lines on a port of their own: how an edge shall behave; answered with what it did."""

    def __init__(self, edges: list[Edge]) -> None:
        self._edges = {edge.name: edge for edge in edges}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the proxy's own end
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            wish = json.loads(line)
            edge = self._edges[wish.pop("edge")]
            if wish:
                edge.behave(Behaviour(**{**wish, "mode": Mode(wish["mode"])}))
            answer = {"edge": edge.name, "accepted": edge.accepted, "struck": dict(edge.struck)}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()


async def run(routes: list[tuple[str, int, int]], control_port: int, seed: str) -> None:
    edges = [Edge(name, upstream, seed) for name, _, upstream in routes]
    for edge, (_, port, _) in zip(edges, routes, strict=True):
        await asyncio.start_server(edge.serve, LOOPBACK, port)
    await asyncio.start_server(Control(edges).serve, LOOPBACK, control_port)
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    print("ready", flush=True)
    await stopped.wait()


def main() -> None:
    """Run ``python -m proof.chaos.fault_proxy --control PORT NAME=PORT:UPSTREAM...``."""
    parser = argparse.ArgumentParser(prog="python -m proof.chaos.fault_proxy", description=__doc__)
    parser.add_argument("--control", type=int, required=True, help="port to be told on")
    parser.add_argument("--seed", default="0", help="for what strikes by chance")
    parser.add_argument("routes", nargs="+", type=route, metavar="NAME=PORT:UPSTREAM")
    given = parser.parse_args()
    uvloop.run(run(given.routes, given.control, given.seed))


def route(text: str) -> tuple[str, int, int]:
    name, _, ports = text.partition("=")
    port, _, upstream = ports.partition(":")
    return name, int(port), int(upstream)


if __name__ == "__main__":
    main()
