"""Plays every scenario without a fault, and a sample of the faults that `make prove` injects."""

from typing import Any

import pytest

from proof.points import Kind, Mode
from tests.support.proof_command import MAX_SECONDS, prove

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(MAX_SECONDS)]

FAULTS = 20
"""Enough for every kind of fault point in every mode; `make prove` injects all faults."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("proof") / "report.json"
    _, report, _ = prove(file, "--sample", str(FAULTS))
    return report


def test_every_fault_point_has_been_reviewed(report: dict[str, Any]) -> None:
    assert report["unreviewed"] == [], "see `make prove-lock`"


def test_with_any_fault_every_order_ends_as_it_must(report: dict[str, Any]) -> None:
    assert report["findings"] == []
    assert report["faults"] >= FAULTS


def test_the_sample_has_every_mode_and_passes_every_boundary(report: dict[str, Any]) -> None:
    scenarios = report["scenarios"].values()

    modes = {mode for scenario in scenarios for mode, runs in scenario["runs"].items() if runs}
    kinds = {kind for scenario in scenarios for kind in scenario["points"]}

    assert modes == set(Mode)
    assert kinds - {Kind.SAVEPOINT} == set(Kind) - {Kind.SAVEPOINT, Kind.WRITE}
