"""`make up` with few processes: a taken port, a closed terminal, a killed launcher or supervisor."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from sandbox.procfile import ROOT, processes
from tests.support.project_copy import ProjectCopy
from tests.support.waits import PATIENCE_SECONDS, wait_until

KEPT = ("release", "web", "worker-checkout")
"""The processes of the shortened Procfile."""

A_DAY = 24 * 60 * 60

UP = ("-m", "sandbox", "up")

PRINT_SETTINGS = """
from django.conf import settings
print(settings.REVIEW_DEFAULT, settings.PAYMENT_RETURN_URL, settings.REVIEW_TIME)
"""

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy whose Procfile has few processes."""
    copy = ProjectCopy(tmp_path_factory.mktemp("start-and-end") / "clone")
    commands = processes((ROOT / "Procfile").read_text())
    lines = (f"{name}: {commands[name]}\n" for name in KEPT)
    (copy.folder / "Procfile").write_text("".join(lines))
    return copy


@pytest.fixture
def system(copy: ProjectCopy) -> Iterator[ProjectCopy]:
    copy.start(*UP)
    assert len(copy.processes()) > len(KEPT)
    yield copy
    copy.end()


@pytest.mark.prove  # the kill of a demo tests it with all processes
def test_no_process_is_left_when_the_launcher_is_killed(system: ProjectCopy) -> None:
    system.kill()

    assert system.processes() == {}


def test_a_run_without_orders_has_an_empty_ledger_moves_its_clocks_and_ends_with_its_terminal(
    system: ProjectCopy,
) -> None:
    ledger = ledger_of(system)
    assert ledger["payment_intents"] == []

    moved = system.run("manage", "clock", "advance", "14d")
    assert moved.stderr == ""
    assert moved.stdout.endswith(" 14 days, 0:00:00 ahead of the real time\n")
    assert 14 * A_DAY <= ledger_of(system)["now"] - ledger["now"] < 15 * A_DAY

    system.launcher.send_signal(signal.SIGHUP)
    wait_until(lambda: not system.published.exists(), "up.json is removed")
    assert system.processes().keys() <= {system.launcher.pid}  # it was removed last
    assert system.launcher.wait(PATIENCE_SECONDS) == 0
    assert system.processes() == {}


def ledger_of(system: ProjectCopy) -> dict[str, Any]:
    address = f"{system.up_json['sandbox']['url']}/_sandbox/ledger"
    ledger: dict[str, Any] = urllib3.request("GET", address).json()
    return ledger


def order_that_waits(up_json: dict[str, Any]) -> dict[str, Any]:
    """Place an order whose customer has to authenticate, and return it once it waits."""
    headers = {"Authorization": f"Bearer {up_json['customer_token']}"}
    cart = {
        "items": [{"sku": "MUG-BLUE", "quantity": 1}],
        "payment_method": "pm_card_authenticationRequired",
    }
    orders = f"{up_json['base_url']}/api/v1/orders"
    key = {"Idempotency-Key": "1"}
    placed = urllib3.request("POST", orders, json=cart, headers={**headers, **key}).json()
    order: dict[str, Any] = {}

    def waits() -> bool:
        order.update(urllib3.request("GET", f"{orders}/{placed['id']}", headers=headers).json())
        return order["waiting_for"] is not None

    wait_until(waits, "the order waits")
    return order


def test_commands_work_on_a_run_with_its_settings_and_down_stops_it(copy: ProjectCopy) -> None:
    returns_to = "https://shop.example/paid"
    settings = {"REVIEW_DEFAULT": "escalate", "PAYMENT_RETURN_URL": returns_to}
    copy.start(*UP, **settings, PAYMENT_GRACE_SECONDS="900")
    try:
        order = order_that_waits(copy.up_json)
        checked = copy.run("check")
        printed = copy.run(
            *("manage", "shell", "--no-imports", "-c", PRINT_SETTINGS),
            REVIEW_DEFAULT="approve",
            REVIEW_HOURS="3",
        )
        launcher = copy.up_json["launcher"]
        stopped = copy.run("down")
        left = copy.processes()
    finally:
        status = copy.end()

    assert order["next_action"]["url"], order
    assert checked.returncode == 0, checked.stdout  # an order that waits is not late
    assert printed.stdout == f"escalate {returns_to} 1 day, 0:00:00\n", printed.stderr
    assert launcher == copy.launcher.pid
    assert stopped.returncode == 0, stopped.stderr
    assert stopped.stdout == (
        f"Stopping the run of process {launcher}.\n"
        "Stopped: every process has ended. The data stays in var/up.\n"
    )
    assert left.keys() <= {launcher}  # which has nothing left to do
    assert not copy.published.exists()
    assert (status, copy.output.splitlines()[-1]) == (0, "Stopping.")


def test_down_without_a_run_says_so_and_removes_what_a_killed_run_left(copy: ProjectCopy) -> None:
    copy.published.parent.mkdir(exist_ok=True)
    copy.published.write_text("{}")

    stopped = copy.run("down")

    assert (stopped.returncode, stopped.stdout) == (0, "Nothing is running.\n")
    assert not copy.published.exists()


def test_no_process_is_left_when_supervisord_is_killed(system: ProjectCopy) -> None:
    os.kill(system.up_json["supervisor"], signal.SIGKILL)

    assert system.launcher.wait(PATIENCE_SECONDS) == 1
    assert system.processes() == {}
    assert not system.published.exists()
    assert system.output.endswith("ended by itself, and all programs with it\n")


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


def test_another_port_is_chosen_if_one_is_taken_during_the_start(copy: ProjectCopy) -> None:
    started = subprocess.run(
        [sys.executable, "-c", START_WITH_A_TAKEN_PORT],
        cwd=copy.folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.stderr == ""
    assert started.stdout == "up\n"
