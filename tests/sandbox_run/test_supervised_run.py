"""`make up` as a whole, in a folder with a long name and spaces in it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import urllib3

from sandbox.embedded_servers import ROOT
from sandbox.procfile import declared
from tests.support.processes import is_alive, processes_of
from tests.support.waits import PATIENCE_SECONDS, wait_until

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "__pycache__", ".*_cache", ".hypothesis")
COMMAND = (sys.executable, "-m", "sandbox")

UP_SECONDS = 240

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(600)]


class Clone:
    """A copy of the project that can be started and stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.published = folder / "var" / "up.json"
        self.log = folder / "launcher.log"
        self.launcher: subprocess.Popen[bytes]

    @property
    def up_json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.published.read_text())
        return content

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.launcher = subprocess.Popen(
                [*COMMAND, "up"],
                cwd=self.folder,
                env={**os.environ, "WITH": "fraud"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(
                lambda: self.is_up() or self.launcher.poll() is not None, "`up` is up", UP_SECONDS
            )
            assert self.is_up(), self.log.read_text()
        except BaseException:
            self.end()
            raise

    def is_up(self) -> bool:
        return b"Ctrl-C stops everything" in self.log.read_bytes()

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, command],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self) -> dict[int, str]:
        return processes_of(self.folder, self.installation_id)

    @property
    def installation_id(self) -> str:
        secrets = json.loads((self.folder / "var" / "up" / "secrets.json").read_text())
        return str(secrets["installation_id"])

    def end(self) -> None:
        self.launcher.send_signal(signal.SIGINT)
        self.launcher.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a clone in a folder; with 100% odd # names", numbered=True)
    folder /= "and a path that is longer than a socket or the first line of a script may be"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    assert len(str(folder)) > 120
    return folder


@pytest.fixture(scope="module")
def system(clone: Path) -> Iterator[Clone]:
    system = Clone(clone)
    system.start()
    yield system
    if system.launcher.poll() is None:
        system.end()


def test_up_json_has_its_addresses_and_is_private(system: Clone) -> None:
    up_json = system.up_json

    headers = {"Authorization": f"Bearer {up_json['customer_token']}"}
    products = urllib3.request("GET", f"{up_json['base_url']}/api/v1/products", headers=headers)

    assert products.status == 200
    assert system.published.stat().st_mode & 0o777 == 0o600
    assert up_json["env"]["DATABASE_URL"] == up_json["database_url"]
    with psycopg.connect(up_json["database_url"]) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    with redis.Redis.from_url(up_json["redis_url"]) as broker:
        assert broker.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    ledger = urllib3.request("GET", f"{up_json['sandbox']['url']}/_sandbox/ledger").json()
    assert ledger["payment_intents"] == []
    assert Path(up_json["sandbox"]["ledger"]).exists()


def test_an_outside_service_of_with_is_started_and_printed(system: Clone) -> None:
    service = system.up_json["outside_services"]["fraud"]

    response = urllib3.request("POST", f"{service['url']}/scores", json={"order": "1"})
    [act] = urllib3.request("GET", f"{service['url']}/_sandbox/ledger").json()["acts"]

    assert (response.status, act["request"]) == (200, {"order": "1"})
    assert service["setting"] == "FRAUD_URL"
    assert system.up_json["env"]["FRAUD_URL"] == service["url"]
    assert f"{service['url']}   the application's FRAUD_URL" in system.log.read_text()


def test_every_process_of_the_procfile_runs(system: Clone) -> None:
    pids = system.up_json["pids"]

    assert pids.keys() == {"postgres", "valkey", "stripe", "outside-fraud", *declared()}
    assert all(is_alive(pid) for pid in pids.values())
    assert is_alive(system.up_json["supervisor"])


def test_a_killed_worker_is_restarted_and_published(system: Clone) -> None:
    killed = system.up_json["pids"]["worker-sweeps"]

    os.kill(killed, signal.SIGKILL)

    wait_until(
        lambda: system.up_json["pids"].get("worker-sweeps", killed) != killed, "a new worker"
    )
    assert is_alive(system.up_json["pids"]["worker-sweeps"])


def test_a_second_run_is_refused_and_the_first_one_continues(system: Clone) -> None:
    up_json = system.up_json

    second = system.run("up")

    assert second.returncode == 1
    assert second.stderr.startswith("var/up is in use")
    assert system.up_json == up_json
    assert is_alive(system.launcher.pid)


def test_a_requested_port_that_is_taken_is_an_error(system: Clone) -> None:
    taken = system.up_json["base_url"].rpartition(":")[2]

    second = system.run("smoke", PORT=taken)

    assert second.returncode == 1
    assert second.stderr == f"port {taken} on 127.0.0.1 is taken by another program\n"
    assert not (system.folder / "var" / "smoke" / "postgres").exists()


def test_ctrl_c_stops_everything(system: Clone) -> None:
    database_url = system.up_json["database_url"]

    system.end()

    assert system.launcher.returncode == 0
    assert system.processes() == {}
    assert not system.published.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database_url)


@pytest.mark.prove  # the kill of a demo tests the same mechanism
def test_no_process_is_left_when_the_launcher_is_killed(clone: Path) -> None:
    system = Clone(clone)
    system.start()
    assert len(system.processes()) > len(declared())

    system.launcher.kill()
    system.launcher.wait()

    wait_until(lambda: system.processes() == {}, "everything ends")


def test_no_process_is_left_when_supervisord_is_killed(clone: Path) -> None:
    system = Clone(clone)
    system.start()

    os.kill(system.up_json["supervisor"], signal.SIGKILL)

    assert system.launcher.wait(PATIENCE_SECONDS) == 1
    assert system.processes() == {}
    assert not system.published.exists()
    assert system.log.read_text().endswith("ended by itself, and all programs with it\n")


START_WITH_A_TAKEN_PORT = """
import os, socket
import sandbox.system
from sandbox.run_directory import UP

others = []

class LateSupervisor(sandbox.system.Supervisor):
    def __init__(self, directory, programs, **options):
        if not others:  # another program takes the port first, once
            port = int(programs[0].command.rpartition(" ")[2])
            others.append(socket.socket())
            others[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            others[0].bind(("127.0.0.1", port))
            others[0].listen()
        super().__init__(directory, programs, **options)

class ServersOnly(sandbox.system.System):
    def _prepare(self):
        taken = others[0].getsockname()[1]
        print("fooled" if f":{taken}/" in self.settings["DATABASE_URL"] else "up")
        raise SystemExit

sandbox.system.Supervisor = LateSupervisor
sandbox.system.System = ServersOnly
with UP.locked(), sandbox.system.running(UP, os.environ, tell=lambda line: None):
    pass
"""


def test_another_port_is_chosen_if_one_is_taken_during_the_start(clone: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-c", START_WITH_A_TAKEN_PORT],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.stderr == ""
    assert started.stdout == "up\n"
