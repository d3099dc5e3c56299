"""The sample of faults that `make test` injects."""

from proof.enumeration import sample
from proof.jobs import Job
from proof.points import Fault, Kind, Mode, Point


def jobs(scenarios: int = 3, points: int = 10) -> list[Job]:
    return [
        Job(f"scenario-{scenario}", Fault(Point("worker", "-", kind, "label", nth), mode))
        for scenario in range(scenarios)
        for kind in (Kind.COMMIT, Kind.HTTP)
        for nth in range(points)
        for mode in Mode
    ]


def test_a_sample_is_the_same_each_time_and_has_no_job_twice() -> None:
    chosen = sample(jobs(), 40)

    assert chosen == sample(list(reversed(jobs())), 40)
    assert len(set(chosen)) == 40


def test_a_sample_has_every_kind_in_every_mode_of_every_scenario() -> None:
    chosen = sample(jobs(), 3 * 2 * len(Mode))

    found = {(job.scenario, job.fault.point.kind, job.fault.mode) for job in chosen if job.fault}
    assert len(found) == 3 * 2 * len(Mode)


def test_a_new_point_changes_the_sample() -> None:
    before = {str(job) for job in sample(jobs(), 40)}
    after = {str(job) for job in sample(jobs(points=11), 40)}

    assert before != after


def test_a_large_sample_has_all_jobs() -> None:
    assert set(sample(jobs(), 10_000)) == set(jobs())
