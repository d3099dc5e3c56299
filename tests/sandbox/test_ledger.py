"""Effects with a response are durable: after kill -9, with cut-off lines and many callers."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import HTTPError

from sandbox.service_process import ROOT
from sandbox.stripe_api.ledger import CANNOT_WRITE
from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import RawApi
from tests.support.waits import wait_until


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=16) as pool:
        yield pool


def objects(server: SandboxServer) -> dict[str, Any]:
    ledger = server.ledger()
    return {kind: ledger[kind] for kind in ("payment_intents", "charges", "refunds")}


def start_with(ledger: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sandbox.stripe_api", "--ledger", str(ledger)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_everything_survives_a_kill_between_calls(
    own_server: SandboxServer, own_api: RawApi
) -> None:
    own_api.new_intent(metadata={"order_id": "1"})
    own_api.post("refunds", {"payment_intent": own_api.captured(), "amount": 5})
    own_api.post(f"payment_intents/{own_api.authorized()}/cancel")
    before = objects(own_server)
    listed = own_api.get("payment_intents").text

    own_server.kill()
    own_server.restart()

    assert objects(own_server) == before
    assert own_api.get("payment_intents").text == listed


def test_starting_over_deletes_everything(own_server: SandboxServer, own_api: RawApi) -> None:
    fresh = objects(own_server)
    own_api.post("refunds", {"payment_intent": own_api.captured(), "amount": 5})
    some_intent = {"amount": 1000, "currency": "usd"}
    own_api.post("payment_intents", some_intent, key="used before")
    own_server.advance(1_000_000)
    later = own_server.ledger()["now"]
    own_server.add_fault("payment_intents.create", "error_before")

    own_server.start_over()

    assert objects(own_server) == fresh
    assert own_server.ledger_path.read_bytes() == b""
    assert own_server.ledger()["now"] < later
    assert own_server.calls() == []
    other_intent = {"amount": 2000, "currency": "usd"}
    assert own_api.post("payment_intents", other_intent, key="used before").status == 200
    own_server.kill()
    own_server.restart()
    assert len(objects(own_server)["payment_intents"]) == 1


def test_no_effect_with_a_response_is_lost_by_a_kill_under_load(
    own_server: SandboxServer, own_api: RawApi, pool: ThreadPoolExecutor
) -> None:
    enough = threading.Semaphore(0)

    def work(worker: int) -> dict[str, str]:
        """Create and confirm intents until the sandbox is dead; return the statuses received, by id."""
        received: dict[str, str] = {}
        try:
            while True:
                intent = own_api.new_intent(metadata={"worker": str(worker)})
                received[intent] = "requires_confirmation"
                enough.release()
                response = own_api.post(f"payment_intents/{intent}/confirm")
                received[intent] = response.body["status"]
        except HTTPError:
            return received

    workers = [pool.submit(work, number) for number in range(8)]
    for _ in range(200):
        enough.acquire(timeout=60)
    own_server.kill()
    answered = {intent: status for worker in workers for intent, status in worker.result().items()}
    own_server.restart()

    assert len(answered) >= 200
    kept = {intent["id"]: intent["status"] for intent in own_server.ledger()["payment_intents"]}
    assert answered.keys() <= kept.keys()
    confirmed = [intent for intent, status in answered.items() if status == "requires_capture"]
    assert [kept[intent] for intent in confirmed] == ["requires_capture"] * len(confirmed)
    assert len(kept) - len(answered) <= 8


def test_a_cut_off_last_line_loses_its_whole_call_and_no_other(
    own_server: SandboxServer, own_api: RawApi
) -> None:
    kept = own_api.authorized(metadata={"order_id": "kept"})
    torn = own_api.post(
        "payment_intents",
        {"amount": 900, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True},
        key="k-torn",
    )
    own_server.kill()
    content = own_server.ledger_path.read_bytes()
    own_server.ledger_path.write_bytes(content[:-40])

    own_server.restart()

    assert [intent["id"] for intent in own_server.ledger()["payment_intents"]] == [kept]
    assert len(own_server.ledger()["charges"]) == 1
    assert own_api.get(f"payment_intents/{torn.id}").status == 404
    again = own_api.post(
        "payment_intents",
        {"amount": 900, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True},
        key="k-torn",
    )
    assert again.status == 200
    assert "Idempotent-Replayed" not in again.headers
    own_server.kill()
    own_server.restart()
    assert [intent["id"] for intent in own_server.ledger()["payment_intents"]] == [kept, again.id]


def test_a_ledger_damaged_in_the_middle_is_rejected(
    own_server: SandboxServer, own_api: RawApi
) -> None:
    for _ in range(3):
        own_api.new_intent()
    own_server.kill()
    lines = own_server.ledger_path.read_bytes().splitlines(keepends=True)
    own_server.ledger_path.write_bytes(lines[0] + b'{"at":\n' + lines[2])
    damaged = own_server.ledger_path.read_bytes()

    rejected = start_with(own_server.ledger_path)

    assert rejected.returncode == 1
    assert "LedgerDamaged" in rejected.stderr
    assert own_server.ledger_path.read_bytes() == damaged


def test_a_ledger_can_be_opened_by_one_sandbox_only(
    own_server: SandboxServer, own_api: RawApi
) -> None:
    rejected = start_with(own_server.ledger_path)

    assert rejected.returncode == 1
    assert "LedgerInUse" in rejected.stderr
    assert own_api.get("payment_intents").status == 200


def test_each_line_is_one_whole_call(own_server: SandboxServer, own_api: RawApi) -> None:
    own_api.post(
        "payment_intents",
        {"amount": 900, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True},
        key="k-line",
    )

    lines = [json.loads(line) for line in own_server.ledger_path.read_text().splitlines()]

    assert len(lines) == 1
    assert [kind for kind, _ in lines[0]["changes"]] == ["payment_intent", "charge"]
    assert lines[0]["saved"]["key"] == "k-line"


def test_reading_writes_nothing(own_server: SandboxServer, own_api: RawApi) -> None:
    intent = own_api.new_intent()
    size = own_server.ledger_path.stat().st_size

    own_api.get(f"payment_intents/{intent}")
    own_api.get("payment_intents")

    assert own_server.ledger_path.stat().st_size == size


def test_concurrent_callers_share_a_sync(
    own_server: SandboxServer, own_api: RawApi, pool: ThreadPoolExecutor
) -> None:
    rule = own_server.add_fault("payment_intents.create", "hold")
    waiting = [pool.submit(own_api.new_intent) for _ in range(16)]
    wait_until(lambda: own_server.held(rule) == 16)
    before = own_server.ledger()

    own_server.release(rule)

    assert len({created.result() for created in waiting}) == 16
    after = own_server.ledger()
    assert after["entries"] - before["entries"] == 16
    assert after["syncs"] - before["syncs"] <= 2


def test_it_stops_on_sigterm_even_with_held_calls(
    own_server: SandboxServer, own_api: RawApi, pool: ThreadPoolExecutor
) -> None:
    intent = own_api.new_intent()
    rule = own_server.add_fault("payment_intents.confirm", "hold")
    held = pool.submit(own_api.post, f"payment_intents/{intent}/confirm")
    wait_until(lambda: own_server.held(rule) == 1)

    own_server.restart()

    assert isinstance(held.exception(), HTTPError)
    assert own_api.get(f"payment_intents/{intent}").body["status"] == "requires_confirmation"


def test_time_never_decreases_even_if_the_machines_clock_does(
    own_server: SandboxServer, own_api: RawApi
) -> None:
    own_api.new_intent()
    later = own_server.ledger()["now"] + 1000
    own_server.kill()
    with own_server.ledger_path.open("a") as ledger:
        ledger.write(f'{{"at":{later}}}\n')

    own_server.restart()

    assert own_api.get(f"payment_intents/{own_api.new_intent()}").body["created"] >= later


# Replaces the system call, because a test has no failing disk.
FAILING_DISK = """
import errno, os, runpy, sys
def fdatasync(descriptor):
    raise OSError(errno.EIO, "the disk is gone")
os.fdatasync = fdatasync
runpy.run_module("sandbox.stripe_api", run_name="__main__", alter_sys=True)
"""


def test_a_failing_disk_ends_the_sandbox_without_a_response(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    options = ["--ledger", str(tmp_path / "ledger"), "--port-file", str(port_file)]
    process = subprocess.Popen(
        [sys.executable, "-c", FAILING_DISK, *options], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        wait_until(port_file.exists)
        api = RawApi(f"http://127.0.0.1:{port_file.read_text().strip()}")

        with pytest.raises(HTTPError):
            api.new_intent()

        api.close()
        assert process.wait(60) == CANNOT_WRITE
    finally:
        process.kill()
        process.wait()
