"""`make demo` with one group of scenarios; then, after a kill, `make up` with its data."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import psycopg
import pytest
import redis
import urllib3

from sandbox.procfile import declared
from tests.support.processes import is_alive
from tests.support.project_copy import ProjectCopy
from tests.support.waits import wait_until

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

ORDERS_WAIT = {"PAYMENT_GRACE_SECONDS": "900"}
"""As without the setting, which the tests of everything else set to 0."""

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> ProjectCopy:
    """A copy in a folder with a long name, with spaces and signs in it."""
    folder = tmp_path_factory.mktemp("a clone in a folder; with 100% odd # names", numbered=True)
    folder /= "and a path that is longer than a socket or the first line of a script may be"
    assert len(str(folder)) > 120
    return ProjectCopy(folder)


# -- `make demo` -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(copy: ProjectCopy) -> Iterator[ProjectCopy]:
    copy.start("-c", ONE_GROUP, **ORDERS_WAIT)
    yield copy
    copy.end()


def orders(copy: ProjectCopy) -> dict[str, str]:
    """Return the status of every order by its id."""
    up_json = copy.up_json
    found: dict[str, str] = {}
    headers = {"Authorization": f"Bearer {up_json['shop_token']}"}
    page = "/api/v1/orders?page_size=100"
    while page:
        url = urljoin(up_json["base_url"], page)
        listed = urllib3.request("GET", url, headers=headers).json()
        found |= {row["id"]: row["status"] for row in listed["results"]}
        page = listed["next"]
    return found


def rule_hits(url: str, rule: int) -> int:
    rules = urllib3.request("GET", f"{url}/_sandbox/faults").json()["rules"]
    return next(int(found["hits"]) for found in rules if found["id"] == rule)


def test_it_prints_results_addresses_and_logins(demo: ProjectCopy) -> None:
    up_json = demo.up_json

    assert "\x1b" not in demo.output
    assert "WRONG" not in demo.output
    assert "background customers" in demo.output
    for address in (
        up_json["admin"]["url"],
        up_json["api_docs_url"],
        up_json["flower"]["url"],
        up_json["sandbox"]["control_url"],
        f"SHOP_TOKEN={up_json['shop_token']}",
        f"TOKEN={up_json['customer_token']}",
        f"{up_json['operator']['username']} / {up_json['operator']['password']}",
    ):
        assert address in demo.output
    assert urllib3.request("GET", up_json["sandbox"]["control_url"]).status == 200
    assert urllib3.request("GET", up_json["api_docs_url"]).status == 200


def test_the_trickle_continues(demo: ProjectCopy) -> None:
    before = orders(demo).keys()

    wait_until(lambda: orders(demo).keys() - before, "one more order")

    assert before <= orders(demo).keys()


def test_the_order_to_repair_is_repaired_as_the_demo_describes(demo: ProjectCopy) -> None:
    _, _, after = demo.output.partition("An order for you to repair:")
    order = after.split()[0].rstrip("/").rpartition("/")[2]
    url = demo.up_json["sandbox"]["url"]
    rules = urllib3.request("GET", f"{url}/_sandbox/faults").json()["rules"]
    rule = next(rule for rule in rules if rule["note"] == "the order to repair")
    wait_until(lambda: rule_hits(url, rule["id"]) > 0, "Stripe refuses the key")
    assert orders(demo)[order] == "placed"

    # Retried first: without the fault the order could continue by itself.
    reason = "The key is being replaced."
    done = demo.run("manage", "orders", "retry", order, "--reason", reason)
    urllib3.request("POST", f"{url}/control/remove", body=f"rule={rule['id']}")

    assert done.returncode == 0, done.stderr
    wait_until(lambda: orders(demo)[order] == "confirmed", "the order continues")


def printed_order_and_page(text: str, output: str) -> tuple[str, str]:
    """Return the order and the page that the demo prints below a line."""
    _, _, after = output.partition(text)
    desk, page = after.partition(":\n")[2].split()[:2]
    return desk.rstrip("/").rpartition("/")[2], page


def submit(page: str, form: str) -> int:
    """Send a form as a browser does, and return the status of the page that follows."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return urllib3.request("POST", page, body=form, headers=headers).status


def test_the_printed_pages_authenticate_an_order_and_approve_one(demo: ProjectCopy) -> None:
    asking, page = printed_order_and_page("you can authenticate", demo.output)
    large, link = printed_order_and_page("you can approve or reject", demo.output)
    assert (orders(demo)[asking], orders(demo)[large]) == ("placed", "placed")

    authenticated, approved = submit(page, "result=complete"), submit(link, "decision=approve")

    assert (authenticated, approved) == (200, 200)
    wait_until(
        lambda: {orders(demo)[order] for order in (asking, large)} == {"confirmed"},
        "both orders continue",
    )


def test_revoking_the_printed_token_does_not_stop_the_trickle(demo: ProjectCopy) -> None:
    up_json = demo.up_json
    url, headers = up_json["base_url"], {"Authorization": f"Bearer {up_json['customer_token']}"}

    revoked = urllib3.request("DELETE", f"{url}/api/v1/token", headers=headers)

    assert revoked.status == 204
    before = orders(demo).keys()
    wait_until(lambda: orders(demo).keys() - before, "one more order")


@pytest.mark.prove  # `up` below starts with the data of a killed demo as well
def test_a_second_demo_keeps_the_orders_of_a_killed_one(demo: ProjectCopy) -> None:
    before = orders(demo)

    demo.kill()
    demo.start("-c", ONE_GROUP, **ORDERS_WAIT)

    after = orders(demo)
    assert before.keys() <= after.keys()
    assert len(after) > len(before)
    assert "WRONG" not in demo.output


# -- `make up`, with the data of the demo ----------------------------------------------------------


@pytest.fixture(scope="module")
def before_up(demo: ProjectCopy) -> dict[str, str]:
    """Kill the demo, and return its orders. No process is left."""
    before = orders(demo)
    assert len(demo.processes()) > len(declared())
    demo.kill()
    return before


@pytest.fixture(scope="module")
def system(demo: ProjectCopy, before_up: dict[str, str]) -> ProjectCopy:
    demo.start("-m", "sandbox", "up", WITH="fraud")
    return demo


def test_a_killed_demo_leaves_no_process_and_up_keeps_its_orders(
    system: ProjectCopy, before_up: dict[str, str]
) -> None:
    assert before_up.keys() <= orders(system).keys()
    ledger = urllib3.request("GET", f"{system.up_json['sandbox']['url']}/_sandbox/ledger").json()
    assert len(ledger["payment_intents"]) > 0
    assert Path(system.up_json["sandbox"]["ledger"]).exists()


def test_up_json_has_its_addresses_and_is_private(system: ProjectCopy) -> None:
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


def test_an_outside_service_of_with_is_started_and_printed(system: ProjectCopy) -> None:
    service = system.up_json["outside_services"]["fraud"]

    response = urllib3.request("POST", f"{service['url']}/scores", json={"order": "1"})
    [act] = urllib3.request("GET", f"{service['url']}/_sandbox/ledger").json()["acts"]

    assert (response.status, act["request"]) == (200, {"order": "1"})
    assert service["setting"] == "FRAUD_URL"
    assert system.up_json["env"]["FRAUD_URL"] == service["url"]
    assert f"{service['url']}   the application's FRAUD_URL" in system.output


def test_every_process_of_the_procfile_runs(system: ProjectCopy) -> None:
    pids = system.up_json["pids"]

    assert pids.keys() == {"postgres", "valkey", "stripe", "outside-fraud", *declared()}
    assert all(is_alive(pid) for pid in pids.values())
    assert is_alive(system.up_json["supervisor"])


def test_a_killed_worker_is_restarted_and_published(system: ProjectCopy) -> None:
    killed = system.up_json["pids"]["worker-sweeps"]

    os.kill(killed, signal.SIGKILL)

    wait_until(
        lambda: system.up_json["pids"].get("worker-sweeps", killed) != killed, "a new worker"
    )
    assert is_alive(system.up_json["pids"]["worker-sweeps"])


def test_a_second_run_is_refused_and_the_first_one_continues(system: ProjectCopy) -> None:
    up_json = system.up_json

    second = system.run("up")

    assert second.returncode == 1
    assert second.stderr.startswith("var/up is in use")
    assert system.up_json == up_json
    assert is_alive(system.launcher.pid)


def test_a_requested_port_that_is_taken_is_an_error(system: ProjectCopy) -> None:
    taken = system.up_json["base_url"].rpartition(":")[2]

    second = system.run("smoke", PORT=taken)

    assert second.returncode == 1
    assert second.stderr == f"port {taken} on 127.0.0.1 is taken by another program\n"
    assert not (system.folder / "var" / "smoke" / "postgres").exists()


def test_ctrl_c_stops_everything(system: ProjectCopy) -> None:
    database_url = system.up_json["database_url"]

    status = system.end(signal.SIGINT)

    assert status == 0
    assert system.processes() == {}
    assert not system.published.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database_url)
