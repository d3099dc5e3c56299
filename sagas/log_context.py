"""The log fields of the run that a thread works on; see ``structlog.contextvars``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from structlog.contextvars import bind_contextvars, reset_contextvars

NAMES: Final = ("run_id", "subject_id", "correlation_id", "saga", "step", "attempt", "runs")


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Bind these of NAMES to every log line, and clear the others until the block ends."""
    tokens = bind_contextvars(**{name: fields.get(name) for name in NAMES})
    try:
        yield
    finally:
        reset_contextvars(**tokens)
