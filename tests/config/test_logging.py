"""Log lines: one JSON object each, with context, and without secrets or personal data."""

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
    log_record = logging.LogRecord(
        "sagas.runner", logging.WARNING, "runner.py", 1, message, args, None
    )
    vars(log_record).update(extra)
    return log_record


def formatted(log_record: logging.LogRecord) -> dict[str, Any]:
    line = LineFormatter().format(log_record)
    assert "\n" not in line
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_a_line_begins_with_time_level_logger_and_event() -> None:
    line = formatted(record("lease.%s", "lost", detail="42\n43"))

    assert list(line) == ["time", "level", "logger", "event", "detail"]
    assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert (line["level"], line["logger"], line["event"], line["detail"]) == (
        "warning",
        "sagas.runner",
        "lease.lost",
        "42\n43",
    )


def test_a_line_has_the_bound_fields() -> None:
    with (
        bound_contextvars(task="heartbeat", queue="checkout"),
        log_context(run_id=RUN, subject_id=ORDER),
    ):
        line = formatted(record("x"))

    assert {name: line[name] for name in line if name not in ("time", "level", "logger")} == {
        "event": "x",
        "task": "heartbeat",
        "queue": "checkout",
        "run_id": str(RUN),
        "order_id": str(ORDER),
    }


def test_a_nested_context_replaces_the_outer_one() -> None:
    with log_context(run_id=RUN, subject_id=ORDER, attempt=3), log_context(runs=2):
        inner = formatted(record("x"))
    with log_context(run_id=RUN, attempt=3):
        with log_context(runs=2):
            pass
        outer = formatted(record("x"))

    assert inner["runs"] == 2
    assert not {"run_id", "order_id", "attempt"} & inner.keys()
    assert (outer["run_id"], outer["attempt"]) == (str(RUN), 3)
    assert "runs" not in outer


def test_fields_of_the_call_override_bound_fields() -> None:
    with log_context(run_id=RUN):
        assert formatted(record("x", run_id="another"))["run_id"] == "another"


def test_objects_of_other_types_are_left_out() -> None:
    line = formatted(
        record("x", request=SimpleNamespace(path="/secret"), data={"args": "[1]"}, n=3)
    )

    assert set(line) == {"time", "level", "logger", "event", "n"}


def test_an_error_has_its_traceback() -> None:
    log_record = record("broken")
    with pytest.raises(ValueError, match="XL") as caught:
        int("XL")
    log_record.exc_info = (caught.type, caught.value, caught.tb)

    line = formatted(log_record)

    assert "ValueError: invalid literal for int() with base 10: 'XL'" in line["exception"]
    assert "test_logging.py" in line["exception"]


REFUSED = "connection refused\n  Is the server running?"


@pytest.mark.parametrize(
    "cause", [psycopg.OperationalError(REFUSED), psycopg.errors.AdminShutdown(REFUSED)]
)
def test_an_unreachable_database_is_named_without_a_traceback(cause: Exception) -> None:
    log_record = record("Message Error\n[a stack]")
    with pytest.raises(OperationalError) as caught:
        raise OperationalError(str(cause)) from cause
    log_record.exc_info = (caught.type, caught.value, caught.tb)

    line = formatted(log_record)

    assert "exception" not in line
    assert line["event"] == "Message Error"
    assert line["error"] == "OperationalError: connection refused"


@pytest.mark.parametrize("error", [BrokerError(REFUSED), SchedulingError(REFUSED)])
def test_an_unreachable_broker_is_named_without_a_traceback(error: Exception) -> None:
    log_record = record("x")
    log_record.exc_info = (type(error), error, None)

    line = formatted(log_record)

    assert "exception" not in line
    assert line["error"] == f"{type(error).__name__}: connection refused"


def test_errors_of_the_database_itself_keep_their_traceback() -> None:
    log_record = record("x")
    with pytest.raises(OperationalError) as caught:
        raise OperationalError("deadlock") from psycopg.errors.DeadlockDetected("deadlock")
    log_record.exc_info = (caught.type, caught.value, caught.tb)

    line = formatted(log_record)

    assert "DeadlockDetected" in line["exception"]
    assert "error" not in line


def test_secrets_are_redacted_in_message_fields_and_traceback() -> None:
    card, mail = "4242 4242 4242 4242", "alice@shop.example"
    log_record = record(
        "paid by %s", mail, note=f"card {card}", password="x", deep={"list": [mail]}
    )
    with pytest.raises(ValueError, match="4242") as caught:
        raise ValueError(card)
    log_record.exc_info = (caught.type, caught.value, caught.tb)

    line = LineFormatter().format(log_record)

    assert mail not in line
    assert card not in line
    assert json.loads(line)["password"] == "[redacted]"
    assert json.loads(line)["deep"] == {"list": ["[redacted]"]}


def test_an_unknown_task_with_a_long_name_gives_a_short_line() -> None:
    name = "1-" * 25_000
    template: str = vars(consumer)["UNKNOWN_TASK_ERROR"]  # missing in celery's types
    log_record = record(template, KeyError(name), "[[], {}, {}]", {"task": name}, {}, task=name)
    log_record.exc_info = (KeyError, KeyError(name), None)

    assert cpu_seconds(lambda: LineFormatter().format(log_record)) < 0.5
    line = formatted(log_record)

    cut = len(log_record.getMessage()) - len("Received unregistered task of type")
    assert line["event"] == f"Received unregistered task of type [{cut:,} characters cut]"
    assert line["exception"] == "KeyError: [50,003 characters cut]\n"
    assert line["task"] == " [50,000 characters cut]"


def test_own_fields_are_redacted_if_they_are_too_long() -> None:
    long = f"{'a' * LONGEST_NAME} alice@shop.example"

    assert formatted(record("x", task=long))["task"] == f"{'a' * LONGEST_NAME} [redacted]"
    assert formatted(record("x", task="a" * LONGEST_NAME))["task"] == "a" * LONGEST_NAME


def test_a_long_traceback_keeps_its_end() -> None:
    def fail(depth: int) -> None:
        if depth:
            again(depth - 1)
        raise ValueError("2 is not 3")

    def again(depth: int) -> None:
        fail(depth)

    log_record = record("broken")
    with pytest.raises(ValueError, match="2 is not 3") as caught:
        fail(100)
    log_record.exc_info = (caught.type, caught.value, caught.tb)

    frames = formatted(log_record)["exception"]

    assert frames.startswith("[earlier frames left out]\n  File ")
    assert frames.endswith('in fail\n    raise ValueError("2 is not 3")\nValueError: 2 is not 3\n')
    assert 9_000 < len(frames) <= LONGEST_TEXT


def test_an_error_with_a_long_text_keeps_its_frames() -> None:
    log_record = record("broken")
    with pytest.raises(ValueError, match="word") as caught:
        raise ValueError("word " * 10_000)
    log_record.exc_info = (caught.type, caught.value, caught.tb)

    frames = formatted(log_record)["exception"]

    assert frames.startswith("Traceback (most recent call last):\n  File ")
    assert frames.endswith("word word [48,015 characters cut]\n")
    assert len(frames) < LONGEST_PART + 1_000


def test_the_console_format_has_columns() -> None:
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
def test_the_default_format_depends_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    is_terminal: bool,  # noqa: FBT001 - a parameter of the table
    formatter: str,
) -> None:
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: is_terminal))

    found = logging_config(level="INFO", kind=kind)

    assert found["handlers"]["stderr"]["formatter"] == formatter
