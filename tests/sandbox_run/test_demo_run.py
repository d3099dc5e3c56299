"""`make demo` as a whole, with one group of scenarios: trickle, order to repair, stop and restart."""

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

ONE_GROUP = """
import os, sys
import sandbox.demo
from sandbox.drive import scenario_groups
from sandbox.launcher import become_launcher

def short_demo(products):
    group = scenario_groups.demo_groups(products)[0]
    return [group._replace(at_least_seconds=0.0, scenarios=group.scenarios[1:])]

sandbox.demo.demo_groups = short_demo
become_launcher()
sys.exit(sandbox.demo.demo(os.environ, lambda line: print(line, flush=True)))
"""

UP_SECONDS = 400  # the start, one group and the checks, on a busy machine

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(900)]


class Demo:
    """A copy of the project in which the demo runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "demo.log"
        self.launcher: subprocess.Popen[bytes]

    def start(self) -> None:
        with self.log.open("wb") as log:
            self.launcher = subprocess.Popen(
                [sys.executable, "-c", ONE_GROUP], cwd=self.folder, stdout=log, stderr=log
            )
        wait_until(
            lambda: self.is_up() or self.launcher.poll() is not None, "the demo is up", UP_SECONDS
        )
        assert self.is_up(), self.output

    def is_up(self) -> bool:
        return "Ctrl-C stops everything" in self.output

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def published(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "var" / "up.json").read_text())
        return content

    def orders(self) -> dict[str, str]:
        """Return the status of every order by its id."""
        published = self.published
        found: dict[str, str] = {}
        headers = {"Authorization": f"Bearer {published['shop_token']}"}
        page = "/api/v1/orders?page_size=100"
        while page:
            url = urljoin(published["base_url"], page)
            listed = urllib3.request("GET", url, headers=headers).json()
            found |= {row["id"]: row["status"] for row in listed["results"]}
            page = listed["next"]
        return found

    def order_to_repair(self) -> str:
        _, _, after = self.output.partition("An order for you to repair:")
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


def test_it_prints_results_addresses_and_logins(demo: Demo) -> None:
    published = demo.published

    assert "\x1b" not in demo.output
    assert "WRONG" not in demo.output
    assert "background customers" in demo.output
    for address in (
        published["admin"]["url"],
        published["api_docs_url"],
        published["flower"]["url"],
        published["sandbox"]["control_url"],
        f"SHOP_TOKEN={published['shop_token']}",
        f"TOKEN={published['customer_token']}",
        f"{published['operator']['username']} / {published['operator']['password']}",
    ):
        assert address in demo.output
    assert urllib3.request("GET", published["sandbox"]["control_url"]).status == 200
    assert urllib3.request("GET", published["api_docs_url"]).status == 200


def test_the_trickle_continues(demo: Demo) -> None:
    before = demo.orders().keys()

    wait_until(lambda: demo.orders().keys() - before, "one more order")

    assert before <= demo.orders().keys()


def test_the_order_to_repair_is_repaired_as_the_demo_describes(demo: Demo) -> None:
    order = demo.order_to_repair()
    url = demo.published["sandbox"]["url"]
    rules = urllib3.request("GET", f"{url}/_sandbox/faults").json()["rules"]
    rule = next(rule for rule in rules if rule["note"] == "the order to repair")
    wait_until(lambda: rule_hits(url, rule["id"]) > 0, "Stripe refuses the key")
    assert demo.orders()[order] == "placed"

    # Retried first: without the fault the order could continue by itself.
    done = demo.manage("orders", "retry", order, "--reason", "The key is being replaced.")
    urllib3.request("POST", f"{url}/control/remove", body=f"rule={rule['id']}")

    assert done.returncode == 0, done.stderr
    wait_until(lambda: demo.orders()[order] == "confirmed", "the order continues")


def test_revoking_the_printed_token_does_not_stop_the_trickle(demo: Demo) -> None:
    published = demo.published
    url, headers = published["base_url"], {"Authorization": f"Bearer {published['customer_token']}"}

    revoked = urllib3.request("DELETE", f"{url}/api/v1/token", headers=headers)

    assert revoked.status == 204
    before = demo.orders().keys()
    wait_until(lambda: demo.orders().keys() - before, "one more order")


def rule_hits(url: str, rule: int) -> int:
    rules = urllib3.request("GET", f"{url}/_sandbox/faults").json()["rules"]
    return next(int(found["hits"]) for found in rules if found["id"] == rule)


def test_a_killed_demo_leaves_no_process_and_the_next_one_keeps_its_orders(
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
    assert "WRONG" not in demo.output


def test_closing_the_terminal_leaves_no_process(demo: Demo) -> None:
    demo.launcher.send_signal(signal.SIGHUP)

    assert demo.launcher.wait(PATIENCE_SECONDS) == 0
    assert demo.processes() == {}
    assert not (demo.folder / "var" / "up.json").exists()
