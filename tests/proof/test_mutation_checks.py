"""A proof that finds nothing is worth what it finds in code that is broken."""

from pathlib import Path

import pytest

from tests.support.proof_command import MAX_SECONDS, prove

pytestmark = [pytest.mark.destructive, pytest.mark.timeout(MAX_SECONDS)]

BUG = "tests.support.proof_bugs:pay_again_after_an_unknown_outcome"


def test_a_second_charge_after_a_doubt_is_found_and_can_be_played_again(tmp_path: Path) -> None:
    at_confirming = "paid/worker/*/http/stripe.confirm_payment/1/kill-after"

    status, report, said = prove(tmp_path / "found.json", "--bug", BUG, "--only", at_confirming)

    assert status == 1
    assert "charged-twice" in {each["kind"] for each in report["findings"]}
    run = report["findings"][0]["run"]
    assert f"make prove ONLY={run}" in said


def test_the_same_run_of_the_code_as_it_is_finds_nothing(tmp_path: Path) -> None:
    at_confirming = "paid/worker/*/http/stripe.confirm_payment/1/kill-after"

    status, report, _ = prove(tmp_path / "clean.json", "--only", at_confirming)

    assert (status, report["faults"], report["findings"]) == (0, 1, [])
