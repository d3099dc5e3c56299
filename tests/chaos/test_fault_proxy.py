"""Each mode of the fault proxy: what the client sees, and what the server does."""

import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from proof.chaos.fault_proxy import Behaviour, Mode
from proof.chaos.proxy_control import ProxyControl
from sandbox.embedded_servers import ROOT
from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.process_lifetime import owned_environment
from tests.support.waits import wait_until

EDGE = "edge"
OTHER = "other"
PATIENCE = 60
UNANSWERED = 0.3  # seconds of silence that tell a black hole from a slow machine


class LineHandler(socketserver.StreamRequestHandler):
    """Records every line, and replies with it in capitals."""

    server: "LineServer"

    def handle(self) -> None:
        try:
            for line in self.rfile:
                self.server.lines.append(line.decode().strip())
                self.wfile.write(line.upper())
        except ConnectionError:
            self.server.resets += 1
        self.server.ended += 1


class LineServer(socketserver.ThreadingTCPServer):
    """The server behind the proxy."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), LineHandler)
        self.lines: list[str] = []
        self.resets = 0
        self.ended = 0


class Client:
    """A connection through the proxy."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), PATIENCE)
        self._replies = self.socket.makefile("rb")

    def send(self, line: str) -> None:
        self.socket.sendall(f"{line}\n".encode())

    def reply(self) -> str:
        return self._replies.readline().decode().strip()

    def ask(self, line: str) -> str:
        self.send(line)
        return self.reply()

    def close(self) -> None:
        self._replies.close()
        self.socket.close()


class ProxyRig:
    """The proxy in its own process, with two edges to one server."""

    def __init__(self, server: LineServer) -> None:
        self.server = server
        self._ports = {name: ReservedPort() for name in ("control", EDGE, OTHER)}
        numbers = {name: port.number for name, port in self._ports.items()}
        upstream = server.server_address[1]
        routes = [f"{name}={numbers[name]}:{upstream}" for name in (EDGE, OTHER)]
        command = ["-m", "proof.chaos.fault_proxy", "--control", str(numbers["control"]), *routes]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.process_lifetime", "SIGTERM", sys.executable, *command],
            cwd=ROOT,
            env=owned_environment({}),
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        self.proxy = ProxyControl(numbers["control"])
        self._clients: list[Client] = []

    def connect(self, edge: str = EDGE) -> Client:
        client = Client(self._ports[edge].number)
        self._clients.append(client)
        return client

    def behave(self, mode: Mode, *, latency_ms: int = 0, rate: float = 1.0) -> None:
        self.proxy.behave(EDGE, Behaviour(mode, latency_ms, rate))

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        with self.proxy:
            self._process.terminate()
            assert self._process.stdout is not None
            self._process.stdout.close()
            assert self._process.wait(PATIENCE) == 0
        for port in self._ports.values():
            port.close()


@pytest.fixture
def server() -> Iterator[LineServer]:
    with LineServer() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def rig(server: LineServer) -> Iterator[ProxyRig]:
    rig = ProxyRig(server)
    yield rig
    rig.stop()


def test_data_arrives_complete_and_in_order(rig: ProxyRig, server: LineServer) -> None:
    client = rig.connect()
    long = "x" * 200_000

    replies = [client.ask("one"), client.ask(long), client.ask("two")]

    assert replies == ["ONE", long.upper(), "TWO"]
    assert server.lines == ["one", long, "two"]
    assert rig.proxy.affected(EDGE) == {}


def test_a_connection_that_the_client_closes_ends_at_the_server_too(
    rig: ProxyRig, server: LineServer
) -> None:
    client = rig.connect()
    client.ask("one")

    client.close()

    wait_until(lambda: server.ended == 1, "the server sees the end")
    assert server.resets == 0


def test_latency_applies_in_both_directions_and_ends_with_the_mode(
    rig: ProxyRig, server: LineServer
) -> None:
    client = rig.connect()
    rig.behave(Mode.LATENCY, latency_ms=150)

    began = time.monotonic()
    reply = client.ask("slow")
    took = time.monotonic() - began
    rig.behave(Mode.PASS)

    assert reply == "SLOW"
    assert took >= 0.3
    assert rig.proxy.affected(EDGE) == {"latency": 2}
    assert client.ask("fast") == "FAST"
    assert rig.proxy.affected(EDGE) == {"latency": 2}


def test_a_black_hole_is_silent_and_delivers_everything_when_it_ends(
    rig: ProxyRig, server: LineServer
) -> None:
    old = rig.connect()
    old.ask("before")
    rig.behave(Mode.BLACK_HOLE)

    old.send("held")
    new = rig.connect()
    new.send("new")
    assert_silent(old)
    assert_silent(new)
    seen_meanwhile = list(server.lines)
    rig.behave(Mode.PASS)

    assert seen_meanwhile == ["before"]
    assert old.reply() == "HELD"
    assert new.reply() == "NEW"
    assert sorted(server.lines[1:]) == ["held", "new"]


def test_a_request_arrives_although_its_client_left_during_a_black_hole(
    rig: ProxyRig, server: LineServer
) -> None:
    client = rig.connect()
    client.ask("before")
    rig.behave(Mode.BLACK_HOLE)
    client.send("late")

    client.close()
    seen_meanwhile = list(server.lines)
    rig.behave(Mode.PASS)

    assert seen_meanwhile == ["before"]
    wait_until(lambda: server.lines == ["before", "late"], "the late request arrives")


def test_reset_ends_open_connections_and_new_ones(rig: ProxyRig, server: LineServer) -> None:
    old = rig.connect()
    old.ask("before")

    rig.behave(Mode.RESET)

    with pytest.raises(ConnectionResetError):
        old.reply()
    with pytest.raises(ConnectionResetError):
        rig.connect().reply()
    wait_until(lambda: server.resets == 1, "the server sees the reset")
    assert server.lines == ["before"]
    assert rig.proxy.affected(EDGE) == {"reset": 2}
    rig.behave(Mode.PASS)
    assert rig.connect().ask("after") == "AFTER"


def test_a_request_with_a_lost_reply_was_executed(rig: ProxyRig, server: LineServer) -> None:
    client = rig.connect()
    client.ask("before")
    rig.behave(Mode.LOSE_REPLY)

    client.send("done")

    with pytest.raises(ConnectionResetError):
        client.reply()
    assert server.lines == ["before", "done"]
    assert rig.proxy.affected(EDGE) == {"lose_reply": 1}


def test_replies_are_lost_at_the_given_rate(rig: ProxyRig, server: LineServer) -> None:
    client = rig.connect()

    rig.behave(Mode.LOSE_REPLY, rate=0)

    assert [client.ask(str(number)) for number in range(20)] == [str(n) for n in range(20)]
    assert rig.proxy.affected(EDGE) == {}


def test_slices_arrive_complete(rig: ProxyRig, server: LineServer) -> None:
    client = rig.connect()
    rig.behave(Mode.SLICE)
    text = "abcdefghij" * 50

    reply = client.ask(text)

    assert reply == text.upper()
    assert server.lines == [text]
    assert rig.proxy.affected(EDGE)["slice"] >= 2


def test_each_edge_has_its_own_behaviour(rig: ProxyRig, server: LineServer) -> None:
    rig.behave(Mode.RESET)

    reply = rig.connect(OTHER).ask("spared")

    assert reply == "SPARED"
    assert (rig.proxy.accepted(EDGE), rig.proxy.accepted(OTHER)) == (0, 1)
    assert rig.proxy.affected(OTHER) == {}


def test_a_connection_to_a_server_that_is_down_is_reset(rig: ProxyRig, server: LineServer) -> None:
    server.socket.close()

    with pytest.raises(ConnectionResetError):
        rig.connect().reply()


def assert_silent(client: Client) -> None:
    client.socket.settimeout(UNANSWERED)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)
    client.socket.settimeout(PATIENCE)
