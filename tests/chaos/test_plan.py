"""A seed gives the same plan every time, and the layout puts the proxy on every edge."""

from collections import Counter

import pytest

from proof.chaos.layout import chaos_layout
from proof.chaos.plan import (
    ASKING_CARD,
    BAD_CARDS,
    GOOD_CARDS,
    PREFORK,
    PROVIDER_FAULTS,
    REVIEW_ABOVE_MINOR,
    SCARCE,
    SCHEDULES,
    SECOND_BEAT,
    CustomerAnswer,
    DisruptionKind,
    ShopDecision,
    SubmitStyle,
    make_plan,
)
from proof.chaos.proxy_control import EDGES
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


def test_another_seed_gives_other_visits_and_other_disruptions() -> None:
    first, second = (make_plan(seed=seed, minutes=2, rate=5) for seed in (7, 8))

    assert first.visits != second.visits
    assert first.disruptions != second.disruptions


@pytest.mark.parametrize("minutes", [1, 3, 10])
def test_every_kind_of_disruption_comes_at_least_once_and_ends_in_time(minutes: int) -> None:
    plan = make_plan(seed=1, minutes=minutes, rate=1)

    assert {disruption.kind for disruption in plan.disruptions} == set(DisruptionKind)
    for schedule in SCHEDULES:
        assert any(
            disruption.kind == schedule.kind and disruption.target in schedule.targets
            for disruption in plan.disruptions
        )
    assert all(
        0 < disruption.at + disruption.seconds <= minutes * 60 + 0.002
        for disruption in plan.disruptions
    )


def test_lasting_disruptions_of_one_kind_and_target_do_not_overlap() -> None:
    lasting = [
        disruption
        for disruption in make_plan(seed=3, minutes=10, rate=1).disruptions
        if disruption.seconds
    ]

    for earlier in lasting:
        overlapping = [
            later
            for later in lasting
            if later is not earlier
            and (later.kind, later.target) == (earlier.kind, earlier.target)
            and earlier.at <= later.at < earlier.at + earlier.seconds - 0.002
        ]
        assert overlapping == []


def test_visits_come_at_the_rate_and_in_all_styles() -> None:
    plan = make_plan(seed=1, minutes=20, rate=5)
    number = len(plan.visits)
    styles = Counter(visit.style for visit in plan.visits)
    cancelling = sum(visit.cancels_after is not None for visit in plan.visits)

    assert 5 * 20 * 60 < number < 1.3 * 5 * 20 * 60  # the bursts come on top
    assert 0.08 < styles[SubmitStyle.DOUBLE_CLICK] / number < 0.12
    assert 0.04 < styles[SubmitStyle.ABANDON] / number < 0.06
    assert 0.15 < cancelling / number < 0.20
    assert all(1 <= len(visit.cart.items) <= 5 for visit in plan.visits)
    assert len({visit.key for visit in plan.visits}) == number
    assert {visit.is_payable for visit in plan.visits} == {True, False}
    assert {visit.is_valid for visit in plan.visits} == {True, False}


def test_orders_wait_for_every_answer_and_every_decision() -> None:
    visits = make_plan(seed=1, minutes=1, rate=5).visits
    answering = [visit for visit in visits if visit.cancels_after is None]

    asking = {visit.answer for visit in answering if visit.cart.payment_method == ASKING_CARD}
    declined = {visit.answer for visit in answering if visit.cart.payment_method in BAD_CARDS}
    reviewed = {visit.decision for visit in answering if visit.is_large}

    assert (asking, reviewed) == (set(CustomerAnswer), set(ShopDecision))
    assert CustomerAnswer.LEAVE in declined
    assert len(declined) > 1


def test_only_large_carts_cost_more_than_the_limit_of_a_review() -> None:
    plan = make_plan(seed=1, minutes=20, rate=5)
    prices = {sku: 500 + 10 * number for number, sku in enumerate(plan.stock, start=1)}

    for visit in plan.visits:
        if visit.is_valid:
            total = sum(prices[sku] * quantity for sku, quantity in visit.cart.items)
            assert visit.is_large == (total > REVIEW_ABOVE_MINOR)


def test_an_order_whose_customer_hangs_up_waits_for_nothing() -> None:
    visits = make_plan(seed=1, minutes=20, rate=5).visits
    abandoned = [visit for visit in visits if visit.style == SubmitStyle.ABANDON]

    assert {visit.cart.payment_method for visit in abandoned} == set(GOOD_CARDS)
    assert not any(visit.is_large for visit in abandoned)


def test_scarce_products_are_ordered_more_often_than_in_stock() -> None:
    plan = make_plan(seed=1, minutes=10, rate=5)
    wanted = Counter(sku for visit in plan.visits for sku, _ in visit.cart.items if sku in SCARCE)

    assert all(0 < plan.stock[sku] < wanted[sku] for sku in SCARCE)


def test_one_call_to_the_provider_in_five_fails() -> None:
    left = 1.0
    for rate in conditional(PROVIDER_FAULTS).values():
        left *= 1 - rate

    assert round(1 - left, 3) == 0.2


def test_web_and_workers_connect_through_the_proxy_and_other_programs_directly() -> None:
    layout = chaos_layout(seed=5, bug=None)

    arranged = layout.arrange(programs(UP, PORTS, external=frozenset()), PORTS, SETTINGS)

    environments = {program.name: dict(program.environment) for program in arranged}
    to_workers = {
        "DATABASE_URL": f"postgres://holdfast:secret@127.0.0.1:{PORTS['workers-postgres']}/postgres",
        "REDIS_URL": f"redis://127.0.0.1:{PORTS['workers-valkey']}/0",
        "STRIPE_API_BASE": f"http://127.0.0.1:{PORTS['workers-stripe']}",
    }
    front = {
        "DATABASE_URL": f"postgres://holdfast:secret@127.0.0.1:{PORTS['web-postgres']}/postgres",
        "REDIS_URL": f"redis://127.0.0.1:{PORTS['web-valkey']}/0",
    }
    assert {name: environments[name] for name in ("web", "desk")} == {
        name: {**front, "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{PORTS[name]}"}
        for name in ("web", "desk")
    }
    assert (
        environments["worker-checkout"]
        == environments[PREFORK]
        == environments[SECOND_BEAT]
        == to_workers
    )
    assert (
        environments[POSTGRES]
        == environments[VALKEY]
        == environments[STRIPE]
        == environments["proxy"]
        == {}
    )
    assert set(layout.ports) <= PORTS.keys()


def test_a_seeded_bug_is_put_into_web_and_workers_only() -> None:
    arranged = chaos_layout(seed=5, bug="fresh_key").arrange(
        programs(UP, PORTS, external=frozenset()), PORTS, SETTINGS
    )

    buggy = {program.name for program in arranged if "seeded_bugs fresh_key --" in program.command}

    assert buggy == {
        "web",
        *(program.name for program in arranged if program.name.startswith("worker-")),
    }
