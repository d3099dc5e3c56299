"""What the report counts as the time of a recovery."""

from pathlib import Path

import pytest

from proof.stage import LONGEST_WAIT
from tests.support.proof_command import MAX_SECONDS, prove

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(MAX_SECONDS)]

BEFORE_A_DAY_PASSES = "review-overdue/storefront/-/commit/*/1/kill-after"


@pytest.mark.prove
def test_time_that_passes_as_an_act_is_no_recovery(tmp_path: Path) -> None:
    status, report, _ = prove(tmp_path / "report.json", "--only", BEFORE_A_DAY_PASSES)

    recovery = report["scenarios"]["review-overdue"]["seconds_to_recover"]
    assert (status, report["faults"]) == (0, 1)
    assert 0 <= recovery["max"] <= LONGEST_WAIT.total_seconds()
