"""How the commands of benchmarks end after an error."""

import os
import subprocess
import sys

import pytest

from sandbox.procfile import ROOT

PROGRAM = """
import sys
from benchmarks.command_line import run_benchmark
from benchmarks.figures import NothingConfirmed
from benchmarks.plan import InvalidPlan
from sandbox.ports import PortTaken

def bench():
    {statement}

sys.exit(run_benchmark(bench, (NothingConfirmed,)))
"""


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EXTERNAL": "", **variables}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("statement", "status", "printed"),
    [
        ("return 0", 0, ""),
        ("return 1", 1, ""),
        ("raise InvalidPlan('RATE')", 2, "RATE\n"),
        ("raise PortTaken(7)", 1, "port 7 on 127.0.0.1 is taken by another program\n"),
        ("raise NothingConfirmed('of 3')", 1, "No figures: NothingConfirmed of 3\n"),
        ("raise KeyboardInterrupt", 130, ""),
    ],
)
def test_an_error_is_printed_and_has_a_status(statement: str, status: int, printed: str) -> None:
    ended = run("-c", PROGRAM.format(statement=statement))

    assert (ended.returncode, ended.stderr) == (status, printed)


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.waits"])
def test_a_benchmark_refuses_servers_that_it_did_not_start(module: str) -> None:
    ended = run("-m", module, EXTERNAL="1")

    assert ended.returncode == 2
    assert ended.stderr == "EXTERNAL=1: only what a benchmark starts itself is measured.\n"


@pytest.mark.parametrize(
    ("module", "variable"), [("benchmarks", "CLIENTS"), ("benchmarks.waits", "TIMERS")]
)
def test_a_plan_that_cannot_be_read_is_named(module: str, variable: str) -> None:
    ended = run("-m", module, **{variable: "many"})

    assert ended.returncode == 2
    assert variable in ended.stderr
    assert "Traceback" not in ended.stderr
