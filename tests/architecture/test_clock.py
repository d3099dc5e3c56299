"""Orders and runs live by one clock; what reads the real time is in a reviewed list."""

import ast
import re
from collections.abc import Iterator

from tests.support.source_files import APPLICATION, python_files

REAL_TIME = {
    # A health check, a metric or a page asks whether processes live: they live in real time.
    ("desk/dashboard_queries.py", "timezone.now"),
    ("monitoring/database_metrics.py", "timezone.now"),
    ("monitoring/heartbeats.py", "timezone.now"),
    ("monitoring/heartbeats.py", "functions.Now"),
    ("monitoring/heartbeats.py", "statement_timestamp"),
    ("monitoring/management/commands/check_beat.py", "timezone.now"),
    ("monitoring/tasks.py", "timezone.now"),
    ("sagas/sweep.py", "clock_timestamp"),
    # A relay's lease: its process lives in real time.
    ("events/relay/positions.py", "functions.Now"),
    # A latency, measured by the process.
    ("orders/metrics.py", "timezone.now"),
    # Logins, and tokens, which belong to accounts. The first check of a link's end costs no statement.
    ("access/authentication.py", "statement_timestamp"),
    ("access/authentication.py", "timezone.now"),
    ("approvals/links.py", "timezone.now"),
    ("access/models.py", "functions.Now"),
    ("access/models.py", "timezone.now"),
    ("access/rate_limits.py", "time.time"),
    ("desk/login_throttle.py", "timezone.now"),
    ("desk/sessions.py", "time.time"),
    # A client repeats a request within real hours.
    ("orders/models.py", "functions.Now"),
    ("orders/tasks.py", "statement_timestamp"),
    # An id begins with the real time of its process.
    ("desk/order_filters.py", "timezone.now"),
    # The page of a decision link says how far the clock of orders was moved from the link's.
    ("orders/api/approvals/decision_page.py", "timezone.now"),
    # The name of a file that a browser saves.
    ("desk/export_view.py", "timezone.now"),
    # The clock itself.
    ("clock/function.py", "statement_timestamp"),
    ("clock/moving.py", "statement_timestamp"),
}
"""Each file with how it reads the real time. An entry needs a reason why no moved clock may show there."""

IN_SQL = re.compile(
    r"\b(statement_timestamp|clock_timestamp|transaction_timestamp|current_timestamp|localtimestamp"
    r"|now(?=\(\)))\b",
    re.IGNORECASE,
)
IN_PYTHON = {
    "timezone.now",
    "functions.Now",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
}


def test_only_reviewed_files_read_the_real_time() -> None:
    found = {
        (source.name, how) for source in python_files(*APPLICATION) for how in readings(source.tree)
    }

    assert found == REAL_TIME


def readings(tree: ast.AST) -> Iterator[str]:
    """Return how this code reads the real time: in Python, by import, or in a text of SQL."""
    documentation = set(documentation_of(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                if f"{owner}.{name}" in IN_PYTHON:
                    yield f"{owner}.{name}"
            case ast.ImportFrom(module=str(module), names=names):
                last = module.rpartition(".")[2]
                yield from {f"{last}.{name.name}" for name in names} & IN_PYTHON
            case ast.Constant(value=str(text)) if node not in documentation:
                yield from (match.lower() for match in IN_SQL.findall(text))


def documentation_of(tree: ast.AST) -> Iterator[ast.Constant]:
    """Return the texts that stand alone as statements: docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def readings_in(code: str) -> list[str]:
    return list(readings(ast.parse(code)))


def test_every_way_to_read_the_real_time_is_found() -> None:
    assert readings_in("from django.db.models.functions import Coalesce, Now") == ["functions.Now"]
    assert readings_in("from django.db.models import functions\nfunctions.Now()") == [
        "functions.Now"
    ]
    assert readings_in("timezone.now()") == ["timezone.now"]
    assert readings_in("from django.utils.timezone import now") == ["timezone.now"]
    assert readings_in("field(default=timezone.now)") == ["timezone.now"]
    assert readings_in("datetime.now(UTC)") == ["datetime.now"]
    assert readings_in("time.time()") == ["time.time"]
    assert readings_in("sql = 'SELECT NOW(), current_timestamp'") == ["now", "current_timestamp"]
    assert readings_in("f'{column} < statement_timestamp() - %s'") == ["statement_timestamp"]


def test_the_clock_and_texts_for_people_are_no_readings() -> None:
    assert readings_in("from clock.now import Now, now\nnow()\nNow()") == []
    assert readings_in("sql = 'SELECT clock_now()'") == []
    assert readings_in("'''Not now() and not statement_timestamp().'''") == []
    assert readings_in("text = 'do it now'") == []
