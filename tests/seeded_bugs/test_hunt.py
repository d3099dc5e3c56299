"""Every seeded bug is found where it must be, and the sound code is clean there."""

from collections.abc import Mapping

import pytest

from proof.bug_hunt import PATIENCE, Kill, hunt_all
from proof.jobs import Job, Result
from proof.points import Fault, Mode
from proof.provers import running_provers
from proof.seeded_bugs.registry import BUGS

pytestmark = [pytest.mark.prove, pytest.mark.destructive, pytest.mark.timeout(900)]

MOST_RUNS = 8
"""The undisturbed run, and the points that the pattern of a bug may name."""


@pytest.fixture(scope="module")
def hunted() -> tuple[Mapping[str, Kill], list[Result]]:
    with running_provers(1) as provers:
        kills = {each.bug.name: each for each in hunt_all(provers)}
        sound = [
            Job(each.job.scenario, each.job.fault, most_rounds=PATIENCE)
            for each in kills.values()
            if each.job is not None and is_point_of_the_sound_code(each.job.fault)
        ]
        return kills, [result for _, result in provers.play(dict.fromkeys(sound))]


@pytest.mark.parametrize("name", BUGS)
def test_a_seeded_bug_is_found(hunted: tuple[Mapping[str, Kill], list[Result]], name: str) -> None:
    kills, _ = hunted

    assert kills[name].job is not None, kills[name]
    assert kills[name].findings
    assert kills[name].runs <= MOST_RUNS


def test_the_sound_code_comes_out_clean_of_the_same_runs(
    hunted: tuple[Mapping[str, Kill], list[Result]],
) -> None:
    _, results = hunted

    assert len(results) >= 5
    assert [finding for each in results for finding in each.findings] == []


def is_point_of_the_sound_code(fault: Fault | None) -> bool:
    """A commit is named by what it writes, and there the broken code may differ."""
    return fault is None or fault.mode is Mode.KILL_AFTER
