"""Counting what is pushed onto Celery's queues."""

import os

import redis

from benchmarks.alone import CAPTURE, UP_TO_CONFIRMED, Alone, pushes

LIST = "benchmarks-test:checkout"


def test_every_push_is_counted_for_its_queue_and_nothing_else() -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as broker:
        broker.lpush(LIST, "before")
        with pushes(broker) as counts:
            broker.lpush(LIST, '{"body": "LPUSH x"}')
            broker.lpush(LIST, "again")
            broker.rpop(LIST)
            broker.lpush("benchmarks-test:settlement", "once")
            broker.set("benchmarks-test:other", "LPUSH")
        broker.lpush(LIST, "after")
        broker.delete(LIST, "benchmarks-test:settlement", "benchmarks-test:other")

    assert counts == {"checkout": 2, "settlement": 1}


def test_only_what_comes_up_to_confirmed_has_a_budget() -> None:
    frugal: dict[str, float] = {"commits": 4, "Celery messages": 1, "SQL statements": 20}
    wasteful: dict[str, float] = {"commits": 5, "Celery messages": 2, "SQL statements": 21}

    within = Alone(10, 50.0, {UP_TO_CONFIRMED: frugal, CAPTURE: wasteful}, [])
    beyond = Alone(10, 50.0, {UP_TO_CONFIRMED: wasteful, CAPTURE: frugal}, [])

    assert within.over_budget == []
    assert beyond.over_budget == [
        "commits: 5, and 4 is the budget",
        "Celery messages: 2, and 1 is the budget",
        "SQL statements: 21, and 20 is the budget",
    ]
