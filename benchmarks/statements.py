"""Counts SQL statements by program and text, from PostgreSQL's log.

The embedded server does not have the extension pg_stat_statements. Logging every statement slows
the system down, so nothing is timed while it is on.
"""

import re
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple

import psycopg

READ_SECONDS: Final = 20
SETTLE_SECONDS: Final = 0.3
"""Time in which every session learns that logging is on, before its next statement."""

SHOWN: Final = 120

# A line with our `log_line_prefix`: time, process, application.
_LINE: Final = re.compile(r"\d{4}-\d\d-\d\d [\d:.]+ \S+ \[(\d+)\] (\S*) \w+:  (.*)")
_SENT: Final = re.compile(r"(?:statement|execute [^:]*): (.*)", re.DOTALL)

_QUOTED: Final = re.compile(r"'(?:[^']|'')*'")
_VALUE: Final = re.compile(r"\$\d+|(?<![\w.])\d+(?:\.\d+)?\b")
_ITEM: Final = r"(?:\?|DEFAULT|NULL|STATEMENT_TIMESTAMP\(\))(?:::[\w\[\]]+)*"
_LIST: Final = re.compile(rf"\({_ITEM}(?:, ?{_ITEM})*\)")
_LISTS: Final = re.compile(r"\(…\)(?:, ?\(…\))+")

_CONTROL: Final = re.compile(
    r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|START TRANSACTION)\b", re.IGNORECASE
)
# Locking a row writes to it too.
_WRITES: Final = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|FOR (?:KEY )?SHARE)\b", re.IGNORECASE)
_CHANGES: Final = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM) (?!SET\b|OF\b)(\w+)")


class Statement(NamedTuple):
    """One statement; ``session`` is the id of PostgreSQL's process that executed it."""

    session: str
    program: str
    text: str

    @property
    def writes(self) -> bool:
        return _WRITES.search(_QUOTED.sub("", self.text)) is not None

    @property
    def is_control(self) -> bool:
        """Return whether it only begins or ends a transaction or a savepoint."""
        return _CONTROL.match(self.text) is not None


class LogIncomplete(Exception):
    """The log does not have all statements: it was rotated away, or never written."""


class StatementLog:
    """Switches PostgreSQL's log of statements on and off, and reads it."""

    def __init__(self, session: psycopg.Connection, file: Path) -> None:
        self._session = session
        self._file = file

    def start(self) -> None:
        self._mark = uuid.uuid4().hex
        self._set("log_parameter_max_length = 0")
        self._set("log_statement = 'all'")
        self._session.execute("SELECT pg_reload_conf()")
        Event().wait(SETTLE_SECONDS)
        self._session.execute(f"SELECT 'start {self._mark}'".encode())

    def stop(self) -> list[Statement]:
        """Return the statements since ``start``, in their order. Raises LogIncomplete."""
        self._session.execute(f"SELECT 'stop {self._mark}'".encode())
        self._session.execute("ALTER SYSTEM RESET ALL")
        self._session.execute("SELECT pg_reload_conf()")
        return list(statements(self._between_marks().splitlines()))

    def _set(self, setting: str) -> None:
        self._session.execute(f"ALTER SYSTEM SET {setting}".encode())

    def _between_marks(self) -> str:
        """Wait until the log has both marks; it may have been rotated once in between."""
        files = [self._file.with_name(f"{self._file.name}.1"), self._file]
        deadline = time.monotonic() + READ_SECONDS
        while time.monotonic() < deadline:
            text = "".join(file.read_text() for file in files if file.exists())
            _, started, rest = text.partition(f"'start {self._mark}'\n")
            sent, stopped, _ = rest.partition(f"'stop {self._mark}'\n")
            if started and stopped:
                return sent
            Event().wait(0.1)
        raise LogIncomplete


def statements(lines: Iterable[str]) -> Iterator[Statement]:
    """Read statements from lines of the log. A line that begins with a tab continues the last one."""
    entry: tuple[str, str, str] | None = None
    for line in lines:
        begins = _LINE.match(line)
        if begins is None:
            if entry is not None:
                entry = (*entry[:2], f"{entry[2]}\n{line.strip()}")
            continue
        if entry is not None:
            yield from _sent(entry)
        session, program, text = begins.groups()
        entry = (session, program, text)
    if entry is not None:
        yield from _sent(entry)


def _sent(entry: tuple[str, str, str]) -> Iterator[Statement]:
    if sent := _SENT.fullmatch(entry[2]):
        yield Statement(entry[0], entry[1], sent[1])


def normalised(text: str) -> str:
    """Return the text without values: equal for statements that differ only in values."""
    text = " ".join(text.split()).replace('"', "")
    text = _VALUE.sub("?", _QUOTED.sub("?", text))
    return _LISTS.sub("(…), …", _LIST.sub("(…)", text))


def shortened(text: str, width: int = SHOWN) -> str:
    """Return a normalised statement without its columns, at most ``width`` characters.

    A statement that changes several tables is shortened to their names.
    """
    if text.startswith("WITH ") and (changes := _CHANGES.findall(text)):
        text = " + ".join(f"{verb} {table}" for verb, table in changes)
    elif text.startswith("SELECT ") and (at := _top_level_from(text)):
        text = f"SELECT … {text[at:]}"
    else:
        text = re.sub(r"^(INSERT INTO \S+) \([^()]*\)", r"\1 (…)", text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _top_level_from(text: str) -> int:
    """Return the position of the FROM that is outside parentheses, or 0."""
    depth = 0
    for part in re.finditer(r"[()]|\bFROM\b", text):
        depth += {"(": 1, ")": -1}.get(part[0], 0)
        if part[0] == "FROM" and depth == 0:
            return part.start()
    return 0


def count_per_order(sent: Iterable[Statement], orders: int) -> list[tuple[str, str, float]]:
    """Return program, normalised text and times per order, the most frequent first."""
    counts = Counter(
        (statement.program, normalised(statement.text))
        for statement in sent
        if not statement.is_control
    )
    return [(program, text, number / orders) for (program, text), number in counts.most_common()]


def count_commits(sent: Iterable[Statement]) -> int:
    """Count the commits that wrote or locked a row; only these wait for the disk."""
    commits = 0
    has_written: dict[str, bool] = {}  # for each session that is in a transaction
    for statement in sent:
        session = statement.session
        match statement.text.upper().rstrip("; ").split():
            case ["BEGIN" | "START", *_]:
                has_written[session] = False
            case ["COMMIT", *_]:
                commits += has_written.pop(session, False)
            case ["ROLLBACK"]:
                has_written.pop(session, None)
            case _ if session in has_written:
                has_written[session] |= statement.writes
            case _:
                commits += statement.writes
    return commits
