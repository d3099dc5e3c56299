"""A TCP proxy that makes connections fail as networks do.

One process carries several *edges*. Each leads from its own port to a server's port, and has a
behaviour. A change of behaviour also applies to open connections. The proxy never damages data:
as with TCP, data comes late, in pieces, or not at all.
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
SLICE: Final = 7  # bytes: shorter than any header of the protocols that pass


class Mode(StrEnum):
    """How data on an edge is passed on."""

    PASS = "pass"  # at once  # noqa: S105 - a mode
    LATENCY = "latency"  # late, in both directions
    BLACK_HOLE = "black_hole"  # when the mode ends, as TCP repeats lost packets
    RESET = "reset"  # never: every open and every new connection is reset
    LOSE_REPLY = "lose_reply"  # the request only: instead of the reply comes a reset
    SLICE = "slice"  # in pieces of a few bytes


class Behaviour(NamedTuple):
    """The current behaviour of an edge."""

    mode: Mode = Mode.PASS
    latency_ms: int = 0
    rate: float = 1.0
    """The share of replies that ``LOSE_REPLY`` loses."""


class Edge:
    """One connection path from clients to a server."""

    def __init__(self, name: str, upstream: int, seed: str) -> None:
        self.name = name
        self._upstream = upstream
        self._dice = random.Random(f"{seed}/{name}")  # noqa: S311 - chance that can be repeated
        self._behaviour = Behaviour()
        self._open = asyncio.Event()
        self._open.set()
        self._connections: set[Connection] = set()
        self.affected: Counter[str] = Counter()
        self.accepted = 0

    def behave(self, behaviour: Behaviour) -> None:
        """Change the behaviour, also of open connections."""
        self._behaviour = behaviour
        if behaviour.mode == Mode.BLACK_HOLE:
            self._open.clear()
        else:
            self._open.set()
        if behaviour.mode == Mode.RESET:
            for connection in list(self._connections):
                self.affected[Mode.RESET] += 1
                connection.reset()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        client = Side(reader, writer)
        connection = Connection(self, client)
        self._connections.add(connection)
        try:
            await connection.pass_data(self._upstream)
        finally:
            self._connections.discard(connection)

    async def admits(self) -> bool:
        """Wait until a black hole ends; return False if the connection must be reset."""
        if not self._open.is_set():
            self.affected[Mode.BLACK_HOLE] += 1
            await self._open.wait()
        if self._behaviour.mode == Mode.RESET:
            self.affected[Mode.RESET] += 1
            return False
        return True

    async def pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        mode = self._behaviour.mode
        pieces = [data]
        if mode == Mode.LATENCY:
            self.affected[mode] += 1
            await asyncio.sleep(self._behaviour.latency_ms / 1000)
        if mode == Mode.SLICE:
            self.affected[mode] += 1
            pieces = [data[start : start + SLICE] for start in range(0, len(data), SLICE)]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0)

    def loses_this_reply(self) -> bool:
        if self._behaviour.mode != Mode.LOSE_REPLY or self._dice.random() >= self._behaviour.rate:
            return False
        self.affected[Mode.LOSE_REPLY] += 1
        return True


class Side(NamedTuple):
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def reset(self) -> None:
        """Close with a TCP reset, and drop data that has not been sent yet."""
        linger_zero = struct.pack("ii", 1, 0)
        transport = self.writer.transport
        if (own := transport.get_extra_info("socket")) is None or own.fileno() < 0:
            return
        with socket.socket(fileno=os.dup(own.fileno())) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        transport.abort()


class Connection:
    """A client's connection, and its continuation to the server."""

    def __init__(self, edge: Edge, client: Side) -> None:
        self._edge = edge
        self._sides = [client]
        self._pumps: list[asyncio.Task[None]] = []

    async def pass_data(self, upstream: int) -> None:
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
        """Reset both ends. Data on its way is lost."""
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
    """The control port: each JSON line sets an edge's behaviour; the reply has its counters.

    A line with nothing but the edge's name changes nothing.
    """

    def __init__(self, edges: list[Edge]) -> None:
        self._edges = {edge.name: edge for edge in edges}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the proxy stops
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            command = json.loads(line)
            edge = self._edges[command.pop("edge")]
            if command:
                edge.behave(Behaviour(**{**command, "mode": Mode(command["mode"])}))
            reply = {"edge": edge.name, "accepted": edge.accepted, "affected": dict(edge.affected)}
            writer.write(json.dumps(reply).encode() + b"\n")
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
    parser.add_argument("--control", type=int, required=True, help="port for commands")
    parser.add_argument("--seed", default="0", help="seed of lost replies")
    parser.add_argument("routes", nargs="+", type=route, metavar="NAME=PORT:UPSTREAM")
    given = parser.parse_args()
    uvloop.run(run(given.routes, given.control, given.seed))


def route(text: str) -> tuple[str, int, int]:
    name, _, ports = text.partition("=")
    port, _, upstream = ports.partition(":")
    return name, int(port), int(upstream)


if __name__ == "__main__":
    main()
