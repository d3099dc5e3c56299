"""Every seeded bug is found in its scenario, and sound code has no finding in the same runs."""

from collections.abc import Mapping

import pytest

from proof.bug_hunt import MAX_ROUNDS_WITH_BUG, HuntResult, hunt_all
from proof.jobs import Job, Result
from proof.points import Fault, Mode
from proof.provers import running_provers
from proof.seeded_bugs.registry import BUGS

pytestmark = [pytest.mark.prove, pytest.mark.destructive, pytest.mark.timeout(900)]

MOST_RUNS = 8
"""The run without a fault, and the points that a bug's pattern may match."""


@pytest.fixture(scope="module")
def hunted() -> tuple[Mapping[str, HuntResult], list[Result]]:
    with running_provers(1) as provers:
        hunts = {hunt.bug.name: hunt for hunt in hunt_all(provers)}
        sound = [
            Job(hunt.job.scenario, hunt.job.fault, max_rounds=MAX_ROUNDS_WITH_BUG)
            for hunt in hunts.values()
            if hunt.job is not None and is_point_of_sound_code(hunt.job.fault)
        ]
        return hunts, [result for _, result in provers.play(dict.fromkeys(sound))]


@pytest.mark.parametrize("name", BUGS)
def test_a_seeded_bug_is_found(
    hunted: tuple[Mapping[str, HuntResult], list[Result]], name: str
) -> None:
    hunts, _ = hunted

    assert hunts[name].job is not None, hunts[name]
    assert hunts[name].findings
    assert hunts[name].runs <= MOST_RUNS


def test_sound_code_has_no_finding_in_the_same_runs(
    hunted: tuple[Mapping[str, HuntResult], list[Result]],
) -> None:
    _, results = hunted

    assert len(results) >= 5
    assert [finding for result in results for finding in result.findings] == []


def is_point_of_sound_code(fault: Fault | None) -> bool:
    """Return whether sound code has the point too: a bug may change the tables of a commit."""
    return fault is None or fault.mode is Mode.KILL_AFTER
