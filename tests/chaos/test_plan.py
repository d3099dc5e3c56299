"""A seed is a plan: the same one every time, and nothing of the run is left to chance beside it."""

from collections import Counter

import pytest

from proof.chaos.layout import chaos_layout
from proof.chaos.plan import (
    BANK_FAULTS,
    HABITS,
    PREFORK,
    SCARCE,
    SECOND_BEAT,
    Deed,
    Manner,
    make_plan,
)
from proof.chaos.proxies import EDGES
from proof.chaos.run import conditional
from sandbox.programs import DESK, POSTGRES, STRIPE, VALKEY, WEB, programs
from sandbox.run_directory import UP

PORTS = {
    POSTGRES: 1001,
    VALKEY: 1002,
    STRIPE: 1003,
    "proxy-control": 1004,
    WEB: 1005,
    DESK: 1006,
} | {edge.name: 2000 + position for position, edge in enumerate(EDGES)}
SETTINGS = {
    "DATABASE_URL": "postgres://holdfast:secret@127.0.0.1:1001/postgres",
    "REDIS_URL": "redis://127.0.0.1:1002/0",
    "STRIPE_API_BASE": "http://127.0.0.1:1003",
}


def test_the_same_seed_gives_the_same_plan() -> None:
    assert make_plan(seed=7, minutes=2, rate=5) == make_plan(seed=7, minutes=2, rate=5)


def test_another_seed_gives_other_customers_and_other_deeds() -> None:
    one, other = (make_plan(seed=seed, minutes=2, rate=5) for seed in (7, 8))

    assert one.errands != other.errands
    assert one.actions != other.actions


@pytest.mark.parametrize("minutes", [1, 3, 10])
def test_every_kind_of_deed_comes_at_least_once_and_ends_in_time(minutes: int) -> None:
    plan = make_plan(seed=1, minutes=minutes, rate=1)

    assert {action.deed for action in plan.actions} == set(Deed)
    for habit in HABITS:
        assert any(
            action.deed == habit.deed and action.target in habit.targets for action in plan.actions
        )
    assert all(0 < action.at + action.seconds <= minutes * 60 + 0.002 for action in plan.actions)


def test_no_edge_is_disturbed_and_nothing_frozen_twice_at_a_time() -> None:
    lasting = [action for action in make_plan(seed=3, minutes=10, rate=1).actions if action.seconds]

    for earlier in lasting:
        overlapping = [
            later
            for later in lasting
            if later is not earlier
            and (later.deed, later.target) == (earlier.deed, earlier.target)
            and earlier.at <= later.at < earlier.at + earlier.seconds - 0.002
        ]
        assert overlapping == []


def test_customers_come_at_the_rate_and_in_all_manners() -> None:
    plan = make_plan(seed=1, minutes=20, rate=5)
    number = len(plan.errands)
    manners = Counter(errand.manner for errand in plan.errands)
    cancelling = sum(errand.cancels_after is not None for errand in plan.errands)

    assert 5 * 20 * 60 < number < 1.3 * 5 * 20 * 60  # the bursts come on top
    assert 0.08 < manners[Manner.DOUBLE_CLICK] / number < 0.12
    assert 0.04 < manners[Manner.ABANDON] / number < 0.06
    assert 0.15 < cancelling / number < 0.20
    assert all(1 <= len(errand.cart.items) <= 5 for errand in plan.errands)
    assert len({errand.key for errand in plan.errands}) == number
    assert {errand.is_payable for errand in plan.errands} == {True, False}
    assert {errand.is_valid for errand in plan.errands} == {True, False}


def test_scarce_products_are_wanted_by_more_than_can_have_them() -> None:
    plan = make_plan(seed=1, minutes=10, rate=5)
    wanted = Counter(
        sku for errand in plan.errands for sku, _ in errand.cart.items if sku in SCARCE
    )

    assert all(0 < plan.stock[sku] < wanted[sku] for sku in SCARCE)


def test_one_call_in_five_fails_at_the_bank() -> None:
    left = 1.0
    for rate in conditional(BANK_FAULTS).values():
        left *= 1 - rate

    assert round(1 - left, 3) == 0.2


def test_web_and_workers_reach_everything_through_the_proxy_and_others_directly() -> None:
    layout = chaos_layout(seed=5, bug=None)

    arranged = layout.arrange(programs(UP, PORTS, external=frozenset()), PORTS, SETTINGS)

    told = {program.name: dict(program.environment) for program in arranged}
    to_workers = {
        "DATABASE_URL": f"postgres://holdfast:secret@127.0.0.1:{PORTS['workers-postgres']}/postgres",
        "REDIS_URL": f"redis://127.0.0.1:{PORTS['workers-valkey']}/0",
        "STRIPE_API_BASE": f"http://127.0.0.1:{PORTS['workers-bank']}",
    }
    front = {
        "DATABASE_URL": f"postgres://holdfast:secret@127.0.0.1:{PORTS['web-postgres']}/postgres",
        "REDIS_URL": f"redis://127.0.0.1:{PORTS['web-valkey']}/0",
    }
    assert {name: told[name] for name in ("web", "desk")} == {
        name: {**front, "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{PORTS[name]}"}
        for name in ("web", "desk")
    }
    assert told["worker-checkout"] == told[PREFORK] == told[SECOND_BEAT] == to_workers
    assert told[POSTGRES] == told[VALKEY] == told[STRIPE] == told["proxy"] == {}
    assert set(layout.ports) <= PORTS.keys()


def test_a_seeded_bug_is_put_into_web_and_workers_alone() -> None:
    arranged = chaos_layout(seed=5, bug="fresh_key").arrange(
        programs(UP, PORTS, external=frozenset()), PORTS, SETTINGS
    )

    buggy = {program.name for program in arranged if "seeded_bugs fresh_key --" in program.command}

    assert buggy == {
        "web",
        *(program.name for program in arranged if program.name.startswith("worker-")),
    }
