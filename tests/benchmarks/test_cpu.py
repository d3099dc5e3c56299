"""CPU time by group, with processes that start and end."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.cpu import LOAD_GENERATOR, by_group, machine_busy_ms

BURNT_MS = 300
TICK_MS = 10

BURNS = f"""
import os, sys, time
child = os.fork()
if child == 0:
    while time.process_time() < {BURNT_MS} / 1000:
        pass
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    os._exit(0)
os.wait()
print("reaped", flush=True)
sys.stdin.readline()
"""


@contextmanager
def parent_of_busy_child() -> Iterator[subprocess.Popen[str]]:
    """Yield a process whose child works for a while, prints its id, and ends at the next line."""
    process = subprocess.Popen(
        [sys.executable, "-c", BURNS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def send_line(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_childs_time_counts_for_its_program_also_after_its_end() -> None:
    with parent_of_busy_child() as process:
        pids = {"web": process.pid}
        child = int(read_line(process))
        while_alive = by_group(pids, load_backend=child)["web"]
        send_line(process)
        assert read_line(process) == "reaped"
        after_end = by_group(pids, load_backend=child)["web"]

    assert while_alive >= BURNT_MS - 2 * TICK_MS
    assert after_end >= while_alive - TICK_MS


def test_the_load_generators_backend_counts_for_the_load_generator() -> None:
    with parent_of_busy_child() as process:
        backend = int(read_line(process))
        without_backend = by_group({"postgres": process.pid}, load_backend=0)
        with_backend = by_group({"postgres": process.pid}, load_backend=backend)

    assert with_backend["PostgreSQL"] <= without_backend["PostgreSQL"] - BURNT_MS + 2 * TICK_MS
    assert with_backend[LOAD_GENERATOR] >= without_backend[LOAD_GENERATOR] + BURNT_MS - 2 * TICK_MS


def test_a_program_without_a_group_is_a_group_of_its_own() -> None:
    groups = by_group({"worker-checkout": 0, "beat": 0, "watch": 0}, load_backend=0).keys()

    assert groups == {
        "worker-checkout",
        "sweeps, beat, watch",
        "PostgreSQL",
        "broker",
        "sandbox",
        LOAD_GENERATOR,
    }


def test_the_machines_busy_time_grows_with_work() -> None:
    before = machine_busy_ms()
    with parent_of_busy_child() as process:
        read_line(process)
        after = machine_busy_ms()

    assert after - before >= BURNT_MS - 2 * TICK_MS
