"""A benchmark's plan is read from the environment, and invalid values are errors."""

from pathlib import Path

import pytest

from benchmarks.plan import InvalidPlan, Plan, plan_from


def test_the_default_is_a_closed_loop_without_provider_latency() -> None:
    plan = plan_from({"PATH": "/bin", "CLIENTS": ""}, Plan)

    assert plan == Plan()
    assert (plan.load, plan.latency_ms, plan.seconds) == ("closed-48", 0, 20)


def test_values_are_read_from_the_environment() -> None:
    plan = plan_from(
        {"RATE": "20", "SECONDS": "7.5", "LATENCY_MS": "200", "BASKETS": "a b.csv", "PROFILE": "1"},
        Plan,
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
def test_an_invalid_value_is_an_error_that_names_it(
    environment: dict[str, str], named: str
) -> None:
    with pytest.raises(InvalidPlan, match=named):
        plan_from(environment, Plan)
