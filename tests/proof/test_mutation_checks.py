"""The proof finds a bug in broken code, and finds nothing in the same run of sound code."""

from pathlib import Path

import pytest

from tests.support.proof_command import MAX_SECONDS, prove

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(MAX_SECONDS)]

BUG = "tests.support.proof_bugs:pay_again_after_an_unknown_outcome"
KILLED_AFTER_CONFIRMING = "paid/worker/*/http/stripe.confirm_payment/1/kill-after"


@pytest.mark.prove
def test_a_second_charge_is_found_and_its_run_can_be_repeated(tmp_path: Path) -> None:
    status, report, output = prove(
        tmp_path / "found.json", "--bug", BUG, "--only", KILLED_AFTER_CONFIRMING
    )

    assert status == 1
    assert "charged-twice" in {finding["kind"] for finding in report["findings"]}
    run = report["findings"][0]["run"]
    assert f"make prove ONLY={run}" in output


@pytest.mark.prove
def test_the_same_run_of_sound_code_finds_nothing(tmp_path: Path) -> None:
    status, report, _ = prove(tmp_path / "clean.json", "--only", KILLED_AFTER_CONFIRMING)

    assert (status, report["faults"], report["findings"]) == (0, 1, [])
