"""`make demo` as a whole, with one act of its show: it stays alive, can be repaired, and is kept."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import urllib3

from sandbox.embedded_servers import ROOT
from tests.sandbox_run.test_supervised_run import LEFT_OUT
from tests.support.processes import processes_of
from tests.support.waits import PATIENCE_SECONDS, wait_until

ONE_ACT = """
import os, sys
import sandbox.demo
from sandbox.drive import acts
from sandbox.launcher import become_launcher

def short_show(products):
    act = acts.for_spectators(products)[0]
    return [act._replace(at_least_seconds=0.0, scenarios=act.scenarios[1:])]

sandbox.demo.for_spectators = short_show
become_launcher()
sys.exit(sandbox.demo.demo(os.environ, lambda line: print(line, flush=True)))
"""

UP_SECONDS = 400  # a start, an act, and its checks, on a machine that is busy with others

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(900)]


class Demo:
    """A copy of the project in which the demo is started, looked at and ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "demo.log"
        self.launcher: subprocess.Popen[bytes]

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.launcher = subprocess.Popen(
                [sys.executable, "-c", ONE_ACT], cwd=self.folder, stdout=log, stderr=log
            )
        wait_until(
            lambda: self.is_up() or self.launcher.poll() is not None, "the demo is up", UP_SECONDS
        )
        assert self.is_up(), self.said

    def is_up(self) -> bool:
        return "Ctrl-C stops everything" in self.said

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.folder / "var" / "up.json").read_text())
        return facts

    def orders(self) -> dict[str, str]:
        """All orders, by id, with their status."""
        facts = self.facts
        found: dict[str, str] = {}
        headers = {"Authorization": f"Bearer {facts['shop_token']}"}
        page = "/api/v1/orders?page_size=100"
        while page:
            url = urljoin(facts["base_url"], page)
            listed = urllib3.request("GET", url, headers=headers).json()
            found |= {row["id"]: row["status"] for row in listed["results"]}
            page = listed["next"]
        return found

    def order_to_repair(self) -> str:
        _, _, after = self.said.partition("An order for you to repair:")
        return after.split()[0].rstrip("/").rpartition("/")[2]

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sandbox", "manage", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self) -> dict[int, str]:
        secrets = json.loads((self.folder / "var" / "up" / "secrets.json").read_text())
        return processes_of(self.folder, secrets["installation_id"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo") / "clone"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    demo = Demo(folder)
    demo.start()
    yield demo
    if demo.launcher.poll() is None:
        demo.launcher.send_signal(signal.SIGINT)
        demo.launcher.wait(PATIENCE_SECONDS)


def test_it_says_what_came_of_the_show_and_where_to_look(demo: Demo) -> None:
    facts = demo.facts

    assert "\x1b" not in demo.said
    assert "WRONG" not in demo.said
    assert "customers all the while" in demo.said
    for address in (
        facts["admin"]["url"],
        facts["api_docs_url"],
        facts["flower"]["url"],
        facts["sandbox"]["control_url"],
        f"SHOP_TOKEN={facts['shop_token']}",
        f"TOKEN={facts['customer_token']}",
        f"{facts['operator']['username']} / {facts['operator']['password']}",
    ):
        assert address in demo.said
    assert urllib3.request("GET", facts["sandbox"]["control_url"]).status == 200
    assert urllib3.request("GET", facts["api_docs_url"]).status == 200


def test_orders_go_on_trickling_in(demo: Demo) -> None:
    before = demo.orders().keys()

    wait_until(lambda: demo.orders().keys() - before, "one more order")

    assert before <= demo.orders().keys()


def test_the_order_that_is_left_is_repaired_as_the_demo_says(demo: Demo) -> None:
    order = demo.order_to_repair()
    url = demo.facts["sandbox"]["url"]
    rules = urllib3.request("GET", f"{url}/_sandbox/faults").json()["rules"]
    rule = next(each for each in rules if each["note"] == "the order to repair")
    wait_until(lambda: rule_hits(url, rule["id"]) > 0, "the bank refuses the key")
    assert demo.orders()[order] == "placed"

    # Once the key is mended the order may go on by itself, and nothing would be left to retry.
    done = demo.manage("orders", "retry", order, "--reason", "The key is being mended.")
    urllib3.request("POST", f"{url}/control/remove", body=f"rule={rule['id']}")

    assert done.returncode == 0, done.stderr
    wait_until(lambda: demo.orders()[order] == "confirmed", "the order goes on")


def test_a_visitor_who_logs_out_does_not_end_it(demo: Demo) -> None:
    facts = demo.facts
    url, headers = facts["base_url"], {"Authorization": f"Bearer {facts['customer_token']}"}

    revoked = urllib3.request("DELETE", f"{url}/api/v1/token", headers=headers)

    assert revoked.status == 204
    before = demo.orders().keys()
    wait_until(lambda: demo.orders().keys() - before, "one more order")


def rule_hits(url: str, rule: int) -> int:
    rules = urllib3.request("GET", f"{url}/_sandbox/faults").json()["rules"]
    return next(int(each["hits"]) for each in rules if each["id"] == rule)


def test_a_kill_of_the_launcher_leaves_nothing_and_the_next_demo_has_its_orders(
    demo: Demo,
) -> None:
    before = demo.orders()

    demo.launcher.kill()
    demo.launcher.wait(PATIENCE_SECONDS)
    wait_until(lambda: demo.processes() == {}, "everything ends")
    demo.start()

    after = demo.orders()
    assert before.keys() <= after.keys()
    assert len(after) > len(before)
    assert "WRONG" not in demo.said


def test_closing_the_terminal_leaves_nothing(demo: Demo) -> None:
    demo.launcher.send_signal(signal.SIGHUP)

    assert demo.launcher.wait(PATIENCE_SECONDS) == 0
    assert demo.processes() == {}
    assert not (demo.folder / "var" / "up.json").exists()
