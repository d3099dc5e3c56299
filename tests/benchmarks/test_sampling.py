"""The group of a sampled stack, and the summary of all samples."""

import pytest

from benchmarks.sampling import ELSE, group, stacks, summary

CELERY = "trace_task (/v/lib/python3.11/site-packages/celery/app/trace.py)"
PHASE = "run (/a folder/sagas/phase.py)"
EXECUTE = "execute (/v/lib/python3.11/site-packages/django/db/backends/utils.py)"
WAIT = "wait (/v/lib/python3.11/site-packages/psycopg/waiting.py)"
JSON = "dumps (/usr/lib/python3.11/json/__init__.py)"
THREAD = "run (/usr/lib/python3.11/threading.py)"


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ((THREAD,), ELSE),
        ((THREAD, CELERY), "Celery, kombu, redis"),
        ((THREAD, CELERY, PHASE), "sagas"),
        ((THREAD, CELERY, PHASE, EXECUTE), "Django's ORM and connections"),
        ((THREAD, CELERY, PHASE, EXECUTE, WAIT), "psycopg"),
        ((THREAD, CELERY, JSON), "Celery, kombu, redis"),
        (("<module> (/x/site-packages/django/views/base.py)",), "Django, the rest"),
        (("post (/x/orders/api/views.py)", JSON), "orders, payments, inventory, events"),
        (("execute_from (/x/orders/lib/python3/site-packages/gunicorn/x.py)",), "gunicorn"),
    ],
)
def test_a_sample_belongs_to_the_innermost_known_group(
    frames: tuple[str, ...], expected: str
) -> None:
    assert group(frames) == expected


def test_shares_are_of_all_samples_and_recursion_counts_once() -> None:
    found = summary(stacks([f"{PHASE};{PHASE};{WAIT} 3", f"{PHASE} 1", "", f"{PHASE};{WAIT} 1"]))

    assert found["samples"] == 5
    assert found["groups"] == {"psycopg": 0.8, "sagas": 0.2}
    assert found["own"] == {"wait (psycopg/waiting.py)": 0.8, "run (sagas/phase.py)": 0.2}
    assert found["with what they call"] == {
        "run (sagas/phase.py)": 1.0,
        "wait (psycopg/waiting.py)": 0.8,
    }


@pytest.mark.parametrize(
    "waiting",
    [
        "Condition.wait (/usr/lib/python3.11/threading.py:295)",
        "_worker (/usr/lib/python3.11/concurrent/futures/thread.py:69)",
        "EpollSelector.select (/usr/lib/python3.11/selectors.py:452)",
        "_epoll.poll (/x/site-packages/kombu/utils/eventio.py:81)",
        "Arbiter.wait_for_signals (/x/site-packages/gunicorn/arbiter.py:1)",
    ],
)
def test_a_waiting_thread_is_no_sample(waiting: str) -> None:
    busy = "Connection.wait (/x/site-packages/psycopg/connection.py:479)"

    assert stacks([f"{THREAD};{waiting} 7", f"{waiting};{busy} 2"]) == {(waiting, busy): 2}
