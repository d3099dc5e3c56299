"""Each mode of the fault proxy: what the client sees, and what the server did."""

import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from proof.chaos.fault_proxy import Behaviour, Mode
from proof.chaos.proxies import Proxies
from sandbox.embedded_servers import ROOT
from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.process_lifetime import owned_environment
from tests.support.waits import wait_until

EDGE = "edge"
OTHER = "other"
PATIENCE = 60
UNANSWERED = 0.3  # seconds of silence that tell a black hole from a slow machine


class Clerk(socketserver.StreamRequestHandler):
    """Writes every line down, and answers it in capitals."""

    server: "Office"

    def handle(self) -> None:
        try:
            for line in self.rfile:
                self.server.lines.append(line.decode().strip())
                self.wfile.write(line.upper())
        except ConnectionError:
            self.server.resets += 1
        self.server.ended += 1


class Office(socketserver.ThreadingTCPServer):
    """The server behind the proxy."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Clerk)
        self.lines: list[str] = []
        self.resets = 0
        self.ended = 0


class Client:
    """A connection through the proxy."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), PATIENCE)
        self._answers = self.socket.makefile("rb")

    def send(self, line: str) -> None:
        self.socket.sendall(f"{line}\n".encode())

    def answer(self) -> str:
        return self._answers.readline().decode().strip()

    def ask(self, line: str) -> str:
        self.send(line)
        return self.answer()

    def close(self) -> None:
        self._answers.close()
        self.socket.close()


class Rig:
    """The proxy in a process of its own, with two edges to one server."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self._ports = {name: ReservedPort() for name in ("control", EDGE, OTHER)}
        numbers = {name: port.number for name, port in self._ports.items()}
        upstream = office.server_address[1]
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
        self.proxies = Proxies(numbers["control"])
        self._clients: list[Client] = []

    def connect(self, edge: str = EDGE) -> Client:
        client = Client(self._ports[edge].number)
        self._clients.append(client)
        return client

    def behave(self, mode: Mode, *, latency_ms: int = 0, rate: float = 1.0) -> None:
        self.proxies.behave(EDGE, Behaviour(mode, latency_ms, rate))

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        with self.proxies:
            self._process.terminate()
            assert self._process.stdout is not None
            self._process.stdout.close()
            assert self._process.wait(PATIENCE) == 0
        for port in self._ports.values():
            port.close()


@pytest.fixture
def office() -> Iterator[Office]:
    with Office() as office:
        serving = threading.Thread(target=office.serve_forever, args=(0.01,))
        serving.start()
        yield office
        office.shutdown()
        serving.join()


@pytest.fixture
def rig(office: Office) -> Iterator[Rig]:
    rig = Rig(office)
    yield rig
    rig.stop()


def test_what_is_sent_arrives_whole_and_in_order(rig: Rig, office: Office) -> None:
    client = rig.connect()
    long = "x" * 200_000

    answers = [client.ask("one"), client.ask(long), client.ask("two")]

    assert answers == ["ONE", long.upper(), "TWO"]
    assert office.lines == ["one", long, "two"]
    assert rig.proxies.struck(EDGE) == {}


def test_a_client_that_closes_is_closed_at_the_server_too(rig: Rig, office: Office) -> None:
    client = rig.connect()
    client.ask("one")

    client.close()

    wait_until(lambda: office.ended == 1, "the server sees the end")
    assert office.resets == 0


def test_latency_comes_in_both_directions_and_ends_with_the_mode(rig: Rig, office: Office) -> None:
    client = rig.connect()
    rig.behave(Mode.LATENCY, latency_ms=150)

    began = time.monotonic()
    answer = client.ask("slow")
    took = time.monotonic() - began
    rig.behave(Mode.PASS)

    assert answer == "SLOW"
    assert took >= 0.3
    assert rig.proxies.struck(EDGE) == {"latency": 2}
    assert client.ask("fast") == "FAST"
    assert rig.proxies.struck(EDGE) == {"latency": 2}


def test_a_black_hole_is_silent_and_gives_everything_back_in_the_end(
    rig: Rig, office: Office
) -> None:
    old = rig.connect()
    old.ask("before")
    rig.behave(Mode.BLACK_HOLE)

    old.send("held")
    new = rig.connect()
    new.send("new")
    is_silent(old)
    is_silent(new)
    seen_meanwhile = list(office.lines)
    rig.behave(Mode.PASS)

    assert seen_meanwhile == ["before"]
    assert old.answer() == "HELD"
    assert new.answer() == "NEW"
    assert sorted(office.lines[1:]) == ["held", "new"]


def test_a_request_whose_client_left_during_a_black_hole_arrives_all_the_same(
    rig: Rig, office: Office
) -> None:
    client = rig.connect()
    client.ask("before")
    rig.behave(Mode.BLACK_HOLE)
    client.send("late")

    client.close()
    seen_meanwhile = list(office.lines)
    rig.behave(Mode.PASS)

    assert seen_meanwhile == ["before"]
    wait_until(lambda: office.lines == ["before", "late"], "the late request arrives")


def test_reset_cuts_connections_that_exist_and_refuses_new_ones(rig: Rig, office: Office) -> None:
    old = rig.connect()
    old.ask("before")

    rig.behave(Mode.RESET)

    with pytest.raises(ConnectionResetError):
        old.answer()
    with pytest.raises(ConnectionResetError):
        rig.connect().answer()
    wait_until(lambda: office.resets == 1, "the server sees the reset")
    assert office.lines == ["before"]
    assert rig.proxies.struck(EDGE) == {"reset": 2}
    rig.behave(Mode.PASS)
    assert rig.connect().ask("after") == "AFTER"


def test_a_lost_reply_was_done_and_not_answered(rig: Rig, office: Office) -> None:
    client = rig.connect()
    client.ask("before")
    rig.behave(Mode.LOSE_REPLY)

    client.send("done")

    with pytest.raises(ConnectionResetError):
        client.answer()
    assert office.lines == ["before", "done"]
    assert rig.proxies.struck(EDGE) == {"lose_reply": 1}


def test_replies_are_lost_at_the_rate_that_was_asked_for(rig: Rig, office: Office) -> None:
    client = rig.connect()

    rig.behave(Mode.LOSE_REPLY, rate=0)

    assert [client.ask(str(number)) for number in range(20)] == [str(n) for n in range(20)]
    assert rig.proxies.struck(EDGE) == {}


def test_slices_make_a_whole(rig: Rig, office: Office) -> None:
    client = rig.connect()
    rig.behave(Mode.SLICE)
    text = "abcdefghij" * 50

    answer = client.ask(text)

    assert answer == text.upper()
    assert office.lines == [text]
    assert rig.proxies.struck(EDGE)["slice"] >= 2


def test_edges_behave_each_in_its_own_way(rig: Rig, office: Office) -> None:
    rig.behave(Mode.RESET)

    answer = rig.connect(OTHER).ask("spared")

    assert answer == "SPARED"
    assert (rig.proxies.accepted(EDGE), rig.proxies.accepted(OTHER)) == (0, 1)
    assert rig.proxies.struck(OTHER) == {}


def test_a_server_that_is_down_is_a_reset_until_it_is_back(rig: Rig, office: Office) -> None:
    office.socket.close()

    with pytest.raises(ConnectionResetError):
        rig.connect().answer()


def is_silent(client: Client) -> None:
    client.socket.settimeout(UNANSWERED)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)
    client.socket.settimeout(PATIENCE)
