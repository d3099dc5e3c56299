"""All scenarios as they go when nothing breaks, and a part of what `make prove` strikes in full."""

from typing import Any

import pytest

from proof.points import Kind, Mode
from tests.support.proof_command import MAX_SECONDS, prove

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(MAX_SECONDS)]

FAULTS = 50
"""Enough for every kind of fault point in every mode; `make prove` strikes all points."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    _, written, _ = prove(tmp_path_factory.mktemp("proof") / "report.json", "--sample", str(FAULTS))
    return written


def test_no_scenario_has_a_fault_point_that_nobody_reviewed(report: dict[str, Any]) -> None:
    assert report["unreviewed"] == [], "see `make prove-lock`"


def test_whatever_is_struck_every_order_ends_as_it_must(report: dict[str, Any]) -> None:
    assert report["findings"] == []
    assert report["faults"] >= FAULTS


def test_the_sample_has_every_mode_and_passes_every_boundary(report: dict[str, Any]) -> None:
    scenarios = report["scenarios"].values()

    modes = {mode for each in scenarios for mode, runs in each["runs"].items() if runs}
    kinds = {kind for each in scenarios for kind in each["points"]}

    assert modes == set(Mode)
    assert kinds - {Kind.SAVEPOINT} == set(Kind) - {Kind.SAVEPOINT, Kind.WRITE}
