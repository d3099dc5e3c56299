"""A line of the log: one JSON object, about something, with nothing in it that must not be told."""

import json
import logging
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from celery.beat import SchedulingError
from celery.worker.consumer import consumer
from django.db import OperationalError
from kombu.exceptions import OperationalError as BrokerError
from structlog.contextvars import bound_contextvars

from config.logging import LONGEST_NAME, LONGEST_PART, LineFormatter, logging_config
from monitoring.redaction import LONGEST_TEXT
from sagas.log_context import log_context
from tests.support.cpu_time import cpu_seconds

RUN, ORDER = UUID(int=1), UUID(int=2)


def record(message: str = "lease.%s", *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("sagas.runner", logging.WARNING, "runner.py", 1, message, args, None)
    vars(made).update(extra)
    return made


def told(made: logging.LogRecord) -> dict[str, Any]:
    line = LineFormatter().format(made)
    assert "\n" not in line
    told: dict[str, Any] = json.loads(line)
    return told


def test_a_line_is_one_object_that_begins_with_when_how_bad_who_and_what() -> None:
    line = told(record("lease.%s", "lost", detail="42\n43"))

    assert list(line) == ["time", "level", "logger", "event", "detail"]
    assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert (line["level"], line["logger"], line["event"], line["detail"]) == (
        "warning",
        "sagas.runner",
        "lease.lost",
        "42\n43",
    )


def test_a_line_names_what_its_thread_works_on() -> None:
    with (
        bound_contextvars(task="heartbeat", queue="checkout"),
        log_context(run_id=RUN, subject_id=ORDER),
    ):
        line = told(record("x"))

    assert {name: line[name] for name in line if name not in ("time", "level", "logger")} == {
        "event": "x",
        "task": "heartbeat",
        "queue": "checkout",
        "run_id": str(RUN),
        "order_id": str(ORDER),
    }


def test_who_works_for_others_names_those_and_not_itself() -> None:
    with log_context(run_id=RUN, subject_id=ORDER, attempt=3), log_context(runs=2):
        together = told(record("x"))
    with log_context(run_id=RUN, attempt=3):
        with log_context(runs=2):
            pass
        alone = told(record("x"))

    assert together["runs"] == 2
    assert not {"run_id", "order_id", "attempt"} & together.keys()
    assert (alone["run_id"], alone["attempt"]) == (str(RUN), 3)
    assert "runs" not in alone


def test_what_a_call_says_goes_before_what_is_bound() -> None:
    with log_context(run_id=RUN):
        assert told(record("x", run_id="another"))["run_id"] == "another"


def test_an_object_that_may_hold_anything_is_left_out() -> None:
    line = told(record("x", request=SimpleNamespace(path="/secret"), data={"args": "[1]"}, n=3))

    assert set(line) == {"time", "level", "logger", "event", "n"}


def test_an_error_is_told_with_where_it_came_from() -> None:
    made = record("broken")
    with pytest.raises(ValueError, match="XL") as caught:
        int("XL")
    made.exc_info = (caught.type, caught.value, caught.tb)

    line = told(made)

    assert "ValueError: invalid literal for int() with base 10: 'XL'" in line["exception"]
    assert "test_logging.py" in line["exception"]


AWAY = "connection refused\n  Is the server running?"


@pytest.mark.parametrize(
    "cause", [psycopg.OperationalError(AWAY), psycopg.errors.AdminShutdown(AWAY)]
)
def test_a_database_that_is_away_is_named_and_has_no_traceback(cause: Exception) -> None:
    made = record("Message Error\n[a stack]")
    with pytest.raises(OperationalError) as caught:
        raise OperationalError(str(cause)) from cause
    made.exc_info = (caught.type, caught.value, caught.tb)

    line = told(made)

    assert "exception" not in line
    assert line["event"] == "Message Error"
    assert line["error"] == "OperationalError: connection refused"


@pytest.mark.parametrize("error", [BrokerError(AWAY), SchedulingError(AWAY)])
def test_a_broker_that_is_away_is_named_and_has_no_traceback(error: Exception) -> None:
    made = record("x")
    made.exc_info = (type(error), error, None)

    line = told(made)

    assert "exception" not in line
    assert line["error"] == f"{type(error).__name__}: connection refused"


def test_what_the_database_refused_keeps_its_traceback() -> None:
    made = record("x")
    with pytest.raises(OperationalError) as caught:
        raise OperationalError("deadlock") from psycopg.errors.DeadlockDetected("deadlock")
    made.exc_info = (caught.type, caught.value, caught.tb)

    line = told(made)

    assert "DeadlockDetected" in line["exception"]
    assert "error" not in line


def test_what_must_not_be_told_is_not_wherever_it_stands() -> None:
    card, mail = "4242 4242 4242 4242", "alice@shop.example"
    made = record("paid by %s", mail, note=f"card {card}", password="x", deep={"list": [mail]})
    with pytest.raises(ValueError, match="4242") as caught:
        raise ValueError(card)
    made.exc_info = (caught.type, caught.value, caught.tb)

    line = LineFormatter().format(made)

    assert mail not in line
    assert card not in line
    assert json.loads(line)["password"] == "[redacted]"
    assert json.loads(line)["deep"] == {"list": ["[redacted]"]}


def test_an_unknown_task_with_a_huge_name_makes_a_short_line() -> None:
    name = "1-" * 25_000
    template: str = vars(consumer)["UNKNOWN_TASK_ERROR"]  # celery's types leave it out
    made = record(template, KeyError(name), "[[], {}, {}]", {"task": name}, {}, task=name)
    made.exc_info = (KeyError, KeyError(name), None)

    assert cpu_seconds(lambda: LineFormatter().format(made)) < 0.5
    line = told(made)

    cut = len(made.getMessage()) - len("Received unregistered task of type")
    assert line["event"] == f"Received unregistered task of type [{cut:,} characters cut]"
    assert line["exception"] == "KeyError: [50,003 characters cut]\n"
    assert line["task"] == " [50,000 characters cut]"


def test_what_is_ours_is_redacted_where_it_is_too_long_to_be_ours() -> None:
    long = f"{'a' * LONGEST_NAME} alice@shop.example"

    assert told(record("x", task=long))["task"] == f"{'a' * LONGEST_NAME} [redacted]"
    assert told(record("x", task="a" * LONGEST_NAME))["task"] == "a" * LONGEST_NAME


def test_a_long_traceback_keeps_its_end() -> None:
    def fail(depth: int) -> None:
        if depth:
            again(depth - 1)
        raise ValueError("2 is not 3")

    def again(depth: int) -> None:
        fail(depth)

    made = record("broken")
    with pytest.raises(ValueError, match="2 is not 3") as caught:
        fail(100)
    made.exc_info = (caught.type, caught.value, caught.tb)

    frames = told(made)["exception"]

    assert frames.startswith("[earlier frames left out]\n  File ")
    assert frames.endswith('in fail\n    raise ValueError("2 is not 3")\nValueError: 2 is not 3\n')
    assert 9_000 < len(frames) <= LONGEST_TEXT


def test_the_frames_of_an_error_with_a_long_text_stay() -> None:
    made = record("broken")
    with pytest.raises(ValueError, match="word") as caught:
        raise ValueError("word " * 10_000)
    made.exc_info = (caught.type, caught.value, caught.tb)

    frames = told(made)["exception"]

    assert frames.startswith("Traceback (most recent call last):\n  File ")
    assert frames.endswith("word word [48,015 characters cut]\n")
    assert len(frames) < LONGEST_PART + 1_000


def test_people_read_columns() -> None:
    line = LineFormatter(for_people=True).format(record("lease.lost", run_id=str(RUN)))

    with pytest.raises(json.JSONDecodeError):
        json.loads(line)
    assert "lease.lost" in line
    assert str(RUN) in line


@pytest.mark.parametrize(
    ("kind", "is_terminal", "formatter"),
    [
        ("", True, "console"),
        ("", False, "json"),
        ("json", True, "json"),
        ("console", False, "console"),
    ],
)
def test_columns_are_for_terminals_unless_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    is_terminal: bool,  # noqa: FBT001 - a parameter of the table
    formatter: str,
) -> None:
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: is_terminal))

    found = logging_config(level="INFO", kind=kind)

    assert found["handlers"]["stderr"]["formatter"] == formatter
