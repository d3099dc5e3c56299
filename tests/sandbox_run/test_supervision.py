"""Supervisord restarts programs, stops them in order, and leaves none behind."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from http.client import HTTPResponse
from uuid import uuid4
from xmlrpc.client import Transport

import pytest

from sandbox import valkey
from sandbox.application import process_environment
from sandbox.ports import ReservedPort
from sandbox.programs import POSTGRES, STRIPE, VALKEY
from sandbox.run_directory import RunDirectory
from sandbox.supervision import Program, Status, Supervisor
from tests.support.processes import is_alive
from tests.support.waits import wait_until

NAMES = ("first", "second", "third")


@pytest.fixture
def directory() -> Iterator[RunDirectory]:
    name = f"test-{uuid4().hex}"
    directory = RunDirectory(name, published=f"var/{name}/up.json")
    directory.prepare()
    yield directory
    shutil.rmtree(directory.path)


@pytest.fixture
def supervisor(directory: RunDirectory) -> Iterator[Supervisor]:
    """Three servers in three groups: each stops after the one that started after it."""
    ports = {name: ReservedPort() for name in (*NAMES, "supervisor")}
    programs = [
        Program(name, f"group-{name}", f"python -m sandbox.valkey --port {ports[name].number}")
        for name in NAMES
    ]
    numbers = {POSTGRES: 1, VALKEY: 2, STRIPE: 3, "web": 4, "flower": 5, "metrics": 6}
    supervisor = Supervisor(
        directory,
        programs,
        port=ports["supervisor"].number,
        environment=process_environment(directory, numbers, os.environ),
    )

    def are_ready() -> bool:
        statuses = supervisor.statuses()
        return len(statuses) == len(NAMES) and all(
            status.running and valkey.is_ready(ports[name].number, status.pid)
            for name, status in statuses.items()
        )

    wait_until(are_ready, "three servers")
    yield supervisor
    supervisor.stop()
    for port in ports.values():
        port.close()


def pids_of(supervisor: Supervisor) -> dict[str, int]:
    """Return each program's pid. Waits, because supervisord may be too busy to respond."""
    found: dict[str, Status] = {}

    def has_responded() -> bool:
        found.update(supervisor.statuses())
        return bool(found)

    wait_until(has_responded, "supervisord's response")
    return {name: status.pid for name, status in found.items()}


def test_a_killed_program_is_restarted(supervisor: Supervisor, directory: RunDirectory) -> None:
    # A program that ends within its first second counts as a failed start; that is not tested here.
    log = directory.logs / "supervisord.log"
    wait_until(lambda: "second entered RUNNING" in log.read_text(), "the server counts as started")
    before = pids_of(supervisor)

    os.kill(before["second"], signal.SIGKILL)

    wait_until(lambda: pids_of(supervisor)["second"] not in (0, before["second"]), "a new process")
    after = pids_of(supervisor)
    assert is_alive(after["second"])
    assert [after[name] for name in ("first", "third")] == [before["first"], before["third"]]


def test_a_program_gets_its_own_variables_and_the_shared_ones(directory: RunDirectory) -> None:
    odd = {"ODD": "50% of a, b = c", "PLAIN": "d"}
    programs = [
        Program("with-own", "first", "env", environment=odd),
        Program("without", "second", "env"),
    ]
    port = ReservedPort()
    environment = {**os.environ, "SHARED": "by all"}

    supervisor = Supervisor(directory, programs, port=port.number, environment=environment)
    try:
        logs = {name: directory.logs / f"{name}.log" for name in ("with-own", "without")}
        wait_until(
            lambda: all(
                log.exists() and "SHARED=by all" in log.read_text() for log in logs.values()
            ),
            "both have printed their variables",
        )
    finally:
        supervisor.stop()
        port.close()

    with_own, without = (set(log.read_text().splitlines()) for log in logs.values())
    assert {f"{name}={value}" for name, value in odd.items()} <= with_own
    assert not any(line.startswith(("ODD=", "PLAIN=")) for line in without)


def test_programs_stop_in_reverse_order(supervisor: Supervisor, directory: RunDirectory) -> None:
    pids = pids_of(supervisor).values()

    supervisor.stop()

    log = (directory.logs / "supervisord.log").read_text()
    assert re.findall(r"stopped: (\w+)", log) == ["third", "second", "first"]
    assert not any(map(is_alive, pids))


def test_a_truncated_response_counts_as_no_status(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(self: Transport, response: HTTPResponse) -> object:
        parser, unmarshaller = self.getparser()
        parser.feed(response.read()[:-100])
        parser.close()
        return unmarshaller.close()

    with monkeypatch.context() as death:
        death.setattr(Transport, "parse_response", break_off)
        assert supervisor.statuses() == {}

    assert set(pids_of(supervisor)) == set(NAMES)


def test_no_program_is_left_when_supervisord_is_killed(supervisor: Supervisor) -> None:
    pids = pids_of(supervisor).values()

    os.kill(supervisor.pid, signal.SIGKILL)

    wait_until(lambda: not any(map(is_alive, pids)), "the servers end")
    assert supervisor.has_ended()
