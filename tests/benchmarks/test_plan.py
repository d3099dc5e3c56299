"""What a benchmark is asked to do is read from the environment, and refused when it makes no sense."""

from pathlib import Path

import pytest

from benchmarks.plan import Plan, PlanRefused, plan_from


def test_nothing_said_is_a_closed_loop_at_a_bank_that_answers_at_once() -> None:
    plan = plan_from({"PATH": "/bin", "CLIENTS": ""})

    assert plan == Plan()
    assert (plan.load, plan.latency_ms, plan.seconds) == ("closed-48", 0, 20)


def test_what_is_said_is_taken() -> None:
    plan = plan_from(
        {"RATE": "20", "SECONDS": "7.5", "LATENCY_MS": "200", "BASKETS": "a b.csv", "PROFILE": "1"}
    )

    assert plan.load == "open-20"
    assert (plan.seconds, plan.latency_ms, plan.profile) == (7.5, 200, True)
    assert plan.baskets == Path("a b.csv")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"CLIENTS": "many"}, "CLIENTS"),
        ({"CLIENTS": "0"}, "CLIENTS"),
        ({"RATE": "-1"}, "RATE"),
        ({"SECONDS": "0"}, "SECONDS"),
        ({"RESULT": "../elsewhere"}, "RESULT"),
        ({"CLIENTS": "4", "RATE": "20"}, "give one of them"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(
    environment: dict[str, str], named: str
) -> None:
    with pytest.raises(PlanRefused, match=named):
        plan_from(environment)
