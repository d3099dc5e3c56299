"""The costs of one order: counted pushes onto Celery's queues, and the budget."""

import os
import re

import redis

from benchmarks.single_order import (
    BUDGET,
    CAPTURE,
    UP_TO_CONFIRMED,
    SingleOrderCosts,
    counted_pushes,
)
from tests.support.source_files import ROOT

LIST = "benchmarks-test:checkout"


def test_only_pushes_are_counted_and_each_for_its_queue() -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as broker:
        broker.lpush(LIST, "before")
        with counted_pushes(broker) as counts:
            broker.lpush(LIST, '{"body": "LPUSH x"}')
            broker.lpush(LIST, "again")
            broker.rpop(LIST)
            broker.lpush("benchmarks-test:settlement", "once")
            broker.set("benchmarks-test:other", "LPUSH")
        broker.lpush(LIST, "after")
        broker.delete(LIST, "benchmarks-test:settlement", "benchmarks-test:other")

    assert counts == {"checkout": 2, "settlement": 1}


def test_only_the_costs_up_to_confirmed_have_a_budget() -> None:
    frugal: dict[str, float] = dict(BUDGET)
    wasteful: dict[str, float] = {name: limit + 1 for name, limit in BUDGET.items()}

    within = SingleOrderCosts(10, 50.0, {UP_TO_CONFIRMED: frugal, CAPTURE: wasteful}, [])
    beyond = SingleOrderCosts(10, 50.0, {UP_TO_CONFIRMED: wasteful, CAPTURE: frugal}, [])

    assert within.over_budget == []
    assert beyond.over_budget == [
        f"{name}: {limit + 1}, budget {limit}" for name, limit in BUDGET.items()
    ]


def test_the_budget_is_the_documented_one() -> None:
    document = (ROOT / "docs" / "performance.md").read_text()

    budgets, _, _ = document.partition("## Budgets")[2].partition("\n## ")
    rows = re.findall(r"^\| ([\w ]+) \| (\d+) \|", budgets, re.MULTILINE)
    assert {name: int(limit) for name, limit in rows} == BUDGET
