"""SQL statements read from PostgreSQL's log, and counted."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.statements import (
    LogIncomplete,
    Statement,
    StatementLog,
    count_commits,
    count_per_order,
    normalised,
    shortened,
    statements,
)
from sandbox import postgres
from sandbox.embedded_servers import EmbeddedServer, start_postgres
from tests.support.waits import wait_until

LOG = """\
2026-11-20 21:57:36.606 UTC [7] web LOG:  statement: BEGIN
2026-11-20 21:57:36.607 UTC [7] web LOG:  execute _pg3_0: SELECT a,
\tb
\tFROM c WHERE id = $1
2026-11-20 21:57:36.607 UTC [7] web DETAIL:  Parameters: $1 = '1'
2026-11-20 21:57:36.608 UTC [9]  LOG:  checkpoint starting: time
2026-11-20 21:57:36.609 UTC [8] worker-checkout LOG:  execute <unnamed>: SELECT 1
2026-11-20 21:57:36.610 UTC [7] web LOG:  statement: COMMIT
""".splitlines()


def test_statements_are_read_with_their_session_and_program() -> None:
    assert list(statements(LOG)) == [
        Statement("7", "web", "BEGIN"),
        Statement("7", "web", "SELECT a,\nb\nFROM c WHERE id = $1"),
        Statement("8", "worker-checkout", "SELECT 1"),
        Statement("7", "web", "COMMIT"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('SELECT "a"."b"\n  FROM "a" WHERE "a"."b" = $12', "SELECT a.b FROM a WHERE a.b = ?"),
        ("SELECT 1", "SELECT ?"),
        ("SELECT x1 FROM t2 LIMIT 21", "SELECT x1 FROM t2 LIMIT ?"),
        ("UPDATE a SET b = 'it''s', c = 1.5", "UPDATE a SET b = ?, c = ?"),
        ("SELECT a FROM b WHERE c IN ($1, $2, $3)", "SELECT a FROM b WHERE c IN (…)"),
        ("SELECT a FROM b WHERE c IN ($1)", "SELECT a FROM b WHERE c IN (…)"),
        (
            "INSERT INTO a (b, c) VALUES ($1, DEFAULT), ($2::jsonb, DEFAULT)",
            "INSERT INTO a (b, c) VALUES (…), …",
        ),
        ("SELECT a WHERE (b = $1 AND c = $2)", "SELECT a WHERE (b = ? AND c = ?)"),
    ],
)
def test_statements_that_differ_only_in_values_are_equal(text: str, expected: str) -> None:
    assert normalised(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a, b FROM c WHERE d = ?", "SELECT … FROM c WHERE d = ?"),
        ("SELECT a, (SELECT b FROM c) FROM d", "SELECT … FROM d"),
        ("SELECT ?", "SELECT ?"),
        ("INSERT INTO a (b, c) VALUES (…)", "INSERT INTO a (…) VALUES (…)"),
        (
            "WITH x AS (INSERT INTO a VALUES (?) ON CONFLICT DO UPDATE SET b = ?) UPDATE c SET d = ?",
            "INSERT INTO a + UPDATE c",
        ),
        ("WITH x AS (UPDATE a SET b = ?) SELECT b FROM c FOR NO KEY UPDATE OF c", "UPDATE a"),
        (f"SELECT ? WHERE {'a' * 200}", f"SELECT ? WHERE {'a' * 104}…"),
    ],
)
def test_a_statement_is_shortened_to_one_line(text: str, expected: str) -> None:
    assert shortened(text) == expected


def test_statements_are_counted_per_order_without_transaction_control() -> None:
    sent = [
        Statement("1", "web", "BEGIN"),
        Statement("1", "web", "SELECT $1"),
        Statement("2", "web", "SELECT 5"),
        Statement("2", "web", "SAVEPOINT x"),
        Statement("3", "worker", "SELECT 5"),
        Statement("1", "web", "COMMIT"),
    ]

    assert count_per_order(sent, orders=4) == [
        ("web", "SELECT ?", 0.5),
        ("worker", "SELECT ?", 0.25),
    ]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["BEGIN", "INSERT INTO a VALUES (1)", "UPDATE a SET b = 1", "COMMIT"], 1),
        (["BEGIN", "SELECT 1", "COMMIT"], 0),
        (["BEGIN", "SELECT a FROM b FOR NO KEY UPDATE", "COMMIT"], 1),
        (["BEGIN", "SELECT 'UPDATE' FROM b", "COMMIT"], 0),
        (["BEGIN", "INSERT INTO a VALUES (1)", "ROLLBACK"], 0),
        (["BEGIN", "DELETE FROM a", "ROLLBACK TO SAVEPOINT s", "COMMIT"], 1),
        (["UPDATE a SET b = 1", "SELECT 1"], 1),
        (["WITH a AS (SELECT 1) SELECT 2"], 0),
        (["WITH a AS (INSERT INTO b VALUES (1)) SELECT 2"], 1),
    ],
)
def test_a_commit_counts_if_it_wrote_or_locked_a_row(texts: list[str], expected: int) -> None:
    assert count_commits(Statement("1", "web", text) for text in texts) == expected


def test_commits_are_counted_per_session() -> None:
    sent = [
        Statement("1", "web", "BEGIN"),
        Statement("2", "web", "BEGIN"),
        Statement("1", "web", "INSERT INTO a VALUES (1)"),
        Statement("2", "web", "COMMIT"),
        Statement("1", "web", "COMMIT"),
    ]

    assert count_commits(sent) == 1


SETTING = "SELECT current_setting"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with tempfile.TemporaryDirectory(prefix="holdfast test ") as name:
        Path(name).chmod(0o711)  # PostgreSQL may run under another account
        server = start_postgres(Path(name))
        yield server
        server.stop()


def connect(server: EmbeddedServer, name: str) -> psycopg.Connection:
    url = postgres.database_url(server.log.with_name("postgres"), server.port)
    return psycopg.connect(url, autocommit=True, application_name=name)


def setting(session: psycopg.Connection, name: str) -> str:
    row = session.execute(f"{SETTING}(%s)".encode(), (name,)).fetchone()
    assert row is not None
    return str(row[0])


def test_the_log_has_the_statements_of_other_sessions_between_start_and_stop(
    server: EmbeddedServer,
) -> None:
    with connect(server, "benchmark") as session, connect(server, "web") as other:
        log = StatementLog(session, server.log)
        other.execute("SELECT 'before'")
        log.start()
        wait_until(lambda: setting(other, "log_statement") == "all", "the other session logs")
        other.execute("SELECT %s::int\n + 1", (5,))
        found = log.stop()
        other.execute("SELECT 'after'")
        wait_until(lambda: setting(other, "log_statement") == "none", "nothing is logged")

    of_web = [
        statement
        for statement in found
        if statement.program == "web" and SETTING not in statement.text
    ]
    assert [(statement.program, statement.text) for statement in of_web] == [
        ("web", "SELECT $1::int\n+ 1")
    ]


def test_a_log_without_its_beginning_is_an_error(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.statements.READ_SECONDS", 0.2)
    with connect(server, "benchmark") as session:
        log = StatementLog(session, tmp_path / "another.log")
        log.start()
        with pytest.raises(LogIncomplete):
            log.stop()
