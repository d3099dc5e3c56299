"""Processor time by group, of processes that come and go."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.cpu import LOAD, by_group, machine_busy_ms

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
def parent_of_a_burner() -> Iterator[subprocess.Popen[str]]:
    """A process whose child works for a while, and ends when it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", BURNS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_what_a_child_worked_counts_for_its_program_also_after_its_end() -> None:
    with parent_of_a_burner() as process:
        pids = {"web": process.pid}
        child = int(said(process))
        while_it_lives = by_group(pids, load_backend=child)["web"]
        go_on(process)
        assert said(process) == "reaped"
        after_its_end = by_group(pids, load_backend=child)["web"]

    assert while_it_lives >= BURNT_MS - 2 * TICK_MS
    assert after_its_end >= while_it_lives - TICK_MS


def test_what_serves_the_load_generator_is_charged_to_it() -> None:
    with parent_of_a_burner() as process:
        backend = int(said(process))
        nobody = by_group({"postgres": process.pid}, load_backend=0)
        found = by_group({"postgres": process.pid}, load_backend=backend)

    assert found["PostgreSQL"] <= nobody["PostgreSQL"] - BURNT_MS + 2 * TICK_MS
    assert found[LOAD] >= nobody[LOAD] + BURNT_MS - 2 * TICK_MS


def test_programs_that_are_not_named_are_groups_of_their_own() -> None:
    groups = by_group({"worker-checkout": 0, "beat": 0, "watch": 0}, load_backend=0).keys()

    assert groups == {
        "worker-checkout",
        "sweeps, beat, watch",
        "PostgreSQL",
        "broker",
        "sandbox",
        LOAD,
    }


def test_the_machine_has_worked_since_it_started() -> None:
    before = machine_busy_ms()
    with parent_of_a_burner() as process:
        said(process)
        after = machine_busy_ms()

    assert after - before >= BURNT_MS - 2 * TICK_MS
