"""What every line says of the run that its thread works on; see ``structlog.contextvars``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from structlog.contextvars import bind_contextvars, reset_contextvars

NAMES: Final = ("run_id", "subject_id", "correlation_id", "saga", "step", "attempt", "runs")


@contextmanager
def log_context(**named: object) -> Iterator[None]:
    """Have each line name exactly these of NAMES: a thread that works for others names those."""
    tokens = bind_contextvars(**{name: named.get(name) for name in NAMES})
    try:
        yield
    finally:
        reset_contextvars(**tokens)
