"""Logs: one JSON object per line on standard error.

All logging goes through the standard library's loggers. A line has its time, level, logger and
event, the call's extra fields, and the fields bound in ``structlog.contextvars``: request, task,
run and order.
"""

import json
import logging
import logging.config
import sys
import threading
import traceback
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final
from uuid import UUID

import structlog
from celery.beat import SchedulingError
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import InterfaceError, OperationalError
from kombu.exceptions import OperationalError as BrokerError
from structlog.contextvars import get_contextvars

from monitoring.redaction import LONGEST_TEXT, redact, redacted, shortened

log = logging.getLogger("uncaught")

PLAIN: Final = (str, int, float, bool, list, tuple, set, frozenset, dict)
"""The types that are logged. Other objects are left out: their text may contain anything."""

OURS: Final = frozenset(
    {
        *("correlation_id", "order_id", "run_id", "saga", "step", "attempt", "outcome"),
        *("task", "task_id", "queue", "worker", "route", "method", "status", "duration_ms"),
        "correlation_ids",
    }
)
"""Fields that contain only our own ids and names. They are not redacted, to save time."""

LONGEST_NAME: Final = 200
"""Our own names are shorter. A longer one came from a client or a message, and is redacted."""

LONGEST_PART: Final = 2_000
"""How many characters of each frame of a traceback, or of the error's text, are kept."""

_LEFT_OUT: Final = "[earlier frames left out]\n"

_NO_FIELDS: Final = frozenset(
    {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName"}
    # Celery's data of a failed task: its arguments, and fields that the line already has.
    | {"data"}
)
"""Attributes of every log record, which are not extra fields of the call."""


def configure(config: dict[str, Any]) -> None:
    """Apply the settings' LOGGING. With JSON, warnings and uncaught exceptions are logged too."""
    logging.config.dictConfig(config)
    if _is_json(config):
        logging.captureWarnings(capture=True)
        sys.excepthook = _log_uncaught_exception
        threading.excepthook = _log_uncaught_exception_of_thread


def logging_config(*, level: str, kind: str) -> dict[str, Any]:
    """Return Django's LOGGING. ``kind`` is json or console; empty means console on a terminal."""
    if kind not in {"", "json", "console"}:
        raise ImproperlyConfigured("LOG_FORMAT is json or console")
    formatter = kind or ("console" if sys.stderr.isatty() else "json")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": "config.logging.LineFormatter"},
            "console": {"()": "config.logging.LineFormatter", "for_people": True},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": formatter}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Client errors are in the response and in our own log line of the request.
            "django.request": {"level": "ERROR"},
            # Contains the client's Host header.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # Two lines for each message; the journal has the same data.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            # Logins: the request's log line and the audit rows have them.
            "axes": {"level": "WARNING"},
            # One line for each expired message: dozens after every stop.
            "celery.worker.request": {"level": "WARNING"},
            # Sentry and OpenTelemetry retry by themselves, and log when they give up.
            "urllib3.connectionpool": {"level": "ERROR"},
            "opentelemetry.exporter": {"level": "ERROR"},
        },
    }


class LineFormatter(logging.Formatter):
    """Formats a record as a JSON object, or as columns for people."""

    def __init__(self, *_: Any, for_people: bool = False, **__: Any) -> None:
        super().__init__()
        self._columns = _COLUMNS if for_people else None

    def format(self, record: logging.LogRecord) -> str:
        line = _line(record)
        if self._columns is not None:
            return str(self._columns(None, record.levelname.lower(), line))
        return json.dumps(line, default=str)


def _line(record: logging.LogRecord) -> dict[str, Any]:
    fields = get_contextvars()
    fields.update((name, value) for name, value in vars(record).items() if name not in _NO_FIELDS)
    if "subject_id" in fields:  # in this installation the subject of every saga is an order
        fields["order_id"] = fields.pop("subject_id")
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": redact(record.getMessage()),
    }
    for name, value in fields.items():
        if (plain := _plain(value)) is not None:
            line[name] = plain if _is_ours(name, plain) else redacted(name, plain)
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        ends_process = record.levelno >= logging.CRITICAL  # keep the traceback
        if _is_unreachable(error) and not ends_process:
            line["event"] = _first_line(line["event"])  # beat appends its stack
            line["error"] = f"{type(error).__name__}: {_first_line(redact(str(error)))}"
        else:
            line["exception"] = redact(_traceback(error))
    return line


def _is_ours(name: str, value: object) -> bool:
    return name in OURS and not (isinstance(value, str) and len(value) > LONGEST_NAME)


def _traceback(error: BaseException) -> str:
    """Return the last frames and errors that fit into LONGEST_TEXT: these are the most useful."""
    kept: list[str] = []
    room = LONGEST_TEXT - len(_LEFT_OUT)
    for part in reversed(traceback.format_exception(error)):
        kept.append(f"{shortened(part.rstrip(), LONGEST_PART)}\n")
        room -= len(kept[-1])
        if room < 0:
            kept[-1] = _LEFT_OUT
            break
    return "".join(reversed(kept))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _is_unreachable(error: BaseException) -> bool:
    """Return whether PostgreSQL or the broker was unreachable, so that a traceback is useless.

    Errors of PostgreSQL itself (a timeout, a deadlock) have a code, and keep their traceback; 57P01
    to 57P03 mean that the server stops or starts (PostgreSQL, appendix A).
    """
    if isinstance(error, OperationalError | InterfaceError):
        code = getattr(error.__cause__, "sqlstate", None)
        return code is None or code.startswith("57P0")
    return isinstance(error, BrokerError | SchedulingError)


def _plain(value: object) -> object:
    """Return a value in a form that can be logged; None for an object of another type."""
    if value is None or isinstance(value, PLAIN):
        return value
    return str(value) if isinstance(value, UUID | datetime | timedelta) else None


_COLUMNS: Final = structlog.dev.ConsoleRenderer(
    timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
)


def _is_json(config: dict[str, Any]) -> bool:
    return bool(config["handlers"]["stderr"]["formatter"] == "json")


def _log_uncaught_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("process.failed", exc_info=(kind, error, trace))


def _log_uncaught_exception_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        name = ended.thread.name if ended.thread else ""
        error = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        log.critical("thread.failed", exc_info=error, extra={"thread_name": name})
