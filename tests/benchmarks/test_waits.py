"""`make bench-waits`: its figures, its report, and a small run of everything on a system of its own."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.bench import Check
from benchmarks.plan import InvalidPlan, plan_from
from benchmarks.waits.bench import WaitsResult
from benchmarks.waits.figures import Figure, Machine, percentiles
from benchmarks.waits.plan import WaitsPlan
from benchmarks.waits.report import as_json, show
from benchmarks.waits.rows import Spread
from sandbox.procfile import ROOT, processes
from tests.support.project_copy import ProjectCopy

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

KEPT = ("release", "web", "worker-checkout", "worker-settlement", "watch")
"""The processes of the small run: those that orders and waits need."""

SMALL = {
    "TIMERS": "100",
    "TIMERS_PER_SECOND": "20",
    "TIMER_SECONDS": "1.5",
    "NUDGES": "12",
    "WAITING": "500",
    "ROUNDS": "1",
    "CLIENTS": "4",
    "SECONDS": "2",
    "WARM_UP": "1",
    "SWEEPS": "15",
    "RESULT": "small",
}


def test_a_figure_is_ok_up_to_its_aim() -> None:
    values = [float(number) for number in range(1, 201)]

    half, most, longest = percentiles("timers", "lateness", values, aim=198)

    assert (half.value, most.value, longest.value) == (100, 198, 200)
    assert [figure.n for figure in (half, most, longest)] == [200] * 3
    assert [figure.aim for figure in (half, most, longest)] == [None, 198, None]
    assert most.ok
    assert not most._replace(aim=197.9).ok
    assert longest.ok


@pytest.mark.parametrize(("after", "middle"), [(-60, -0.25), (0, -0.25), (0.1, 0.25), (1, 0.75)])
def test_measured_timers_begin_in_the_middle_between_two_deadlines(
    after: float, middle: float
) -> None:
    spread = Spread(NOON, seconds=0.5)

    assert spread.between(NOON + timedelta(seconds=after)) == NOON + timedelta(seconds=middle)


def test_a_size_that_is_not_possible_is_named() -> None:
    with pytest.raises(InvalidPlan, match="ROUNDS"):
        plan_from({"ROUNDS": "0", "WAITING": "5"}, WaitsPlan)


def test_the_report_marks_what_misses_its_aim() -> None:
    result = WaitsResult(
        figures=[
            Figure("timers", "lateness, p99", 1000.1, "ms", 3000, 1000),
            Figure("waiting runs", "worse by", 4.9, "%", 3, 5),
            Figure("nudges", "p50", 12, "ms", 300),
        ],
        machines=[Machine("timers", 0.5, 1.5, 0.7)],
        checks=[Check("every due timer fired once", ok=False, detail="2999 of 3000")],
        windows=[("without", {"orders confirmed per second": 100})],
    )

    document = as_json(WaitsPlan(), result)
    console = Console(file=io.StringIO(), width=160)
    show(json.loads(json.dumps(document)), console)

    assert document["ok"] is False
    assert [figure["ok"] for figure in document["figures"]] == [False, True, True]
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line]
    assert cells == [
        ["timers", "lateness, p99", "1,000.1 ms", "3,000", "≤ 1000 ms", "missed"],
        ["waiting runs", "worse by", "4.9 %", "3", "≤ 5 %", "ok"],
        ["nudges", "p50", "12.0 ms", "300", "", ""],
    ]
    assert lines[-2:] == [
        "timers: load 0.5 before, 1.5 after, slow 0.70",
        "WRONG every due timer fired once: 2999 of 3000",
    ]


def test_the_settings_with_the_sagas_of_the_benchmark_are_refused_outside_a_sandbox() -> None:
    started = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.waits.inside.settings",
            "INSTALLATION_ID": "shop",
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == 1
    assert started.stderr == (
        "Configuration: these settings are for the sandbox of `make bench-waits` only\n"
    )


@pytest.mark.destructive
@pytest.mark.timeout(900)
@pytest.mark.prove  # a whole system runs for more than a minute
def test_a_small_run_measures_everything_once(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "clone")
    commands = processes((ROOT / "Procfile").read_text())
    lines = (f"{name}: {commands[name]}\n" for name in KEPT)
    (copy.folder / "Procfile").write_text("".join(lines))

    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.waits"],
        cwd=copy.folder,
        env={**os.environ, **SMALL},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    document = json.loads((copy.folder / "var" / "bench" / "small.json").read_text())
    assert document["plan"]["timers"] == 100
    assert [
        (figure["part"], figure["name"].rpartition(", ")[2], figure["n"], figure["aim"])
        for figure in document["figures"]
    ] == [
        ("timers", "p50", 30, None),
        ("timers", "p99", 30, 1000),
        ("timers", "max", 30, None),
        ("nudges", "p50", 12, None),
        ("nudges", "p99", 12, 100),
        ("nudges", "max", 12, None),
        ("waiting runs", "without", 1, None),
        ("waiting runs", "with", 1, None),
        ("waiting runs", "worse by", 1, 5),
        ("waiting runs", "without", 1, None),
        ("waiting runs", "with", 1, None),
        ("waiting runs", "worse by", 1, None),
        ("waiting runs", "p50", 15, None),
        ("waiting runs", "p99", 15, 50),
        ("waiting runs", "max", 15, None),
    ]
    assert all(figure["value"] > 0 for figure in document["figures"] if figure["unit"] == "ms")
    assert [window["waiting runs"] for window in document["windows"]] == ["without", "with"]
    assert [(check["name"], check["ok"]) for check in document["checks"]] == [
        ("every due timer fired once", True),
        ("every nudged run went on", True),
        ("every accepted order ended", True),
        ("every accepted order ended", True),
        ("ledgers agree", True),
    ]
    assert [(check["detail"]) for check in document["checks"][:2]] == ["30 of 30", "12 of 12"]
