"""The SQL that PostgreSQL was sent, from its own log, by program and by text.

PostgreSQL's counter for this, pg_stat_statements, is an extension that the embedded server does not
have. Logging every statement slows what it counts: nothing is timed while it is on.
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
"""For every session to hear that logging is on; each listens before its next statement."""

SHOWN: Final = 120

# What our own `log_line_prefix` makes of a line: time, process, application.
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
# A row that is locked is written to as well.
_WRITES: Final = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|FOR (?:KEY )?SHARE)\b", re.IGNORECASE)
_CHANGES: Final = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM) (?!SET\b|OF\b)(\w+)")


class Statement(NamedTuple):
    """One statement as it was sent; ``session`` is the process that served it."""

    session: str
    program: str
    text: str

    @property
    def writes(self) -> bool:
        return _WRITES.search(_QUOTED.sub("", self.text)) is not None

    @property
    def is_control(self) -> bool:
        """Tell whether it only begins or ends a transaction, or a part of one."""
        return _CONTROL.match(self.text) is not None


class LogTornOff(Exception):
    """The log does not hold all that was sent: it was rotated away, or never written."""


class StatementLog:
    """Switches PostgreSQL's log of statements on for a while, and reads it."""

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
        """Return what was sent since the start, in its order. Raises LogTornOff."""
        self._session.execute(f"SELECT 'stop {self._mark}'".encode())
        self._session.execute("ALTER SYSTEM RESET ALL")
        self._session.execute("SELECT pg_reload_conf()")
        return list(statements(self._between_marks().splitlines()))

    def _set(self, setting: str) -> None:
        self._session.execute(f"ALTER SYSTEM SET {setting}".encode())

    def _between_marks(self) -> str:
        """Wait for the log, which comes through a pipe. One rotation may have come between."""
        files = [self._file.with_name(f"{self._file.name}.1"), self._file]
        deadline = time.monotonic() + READ_SECONDS
        while time.monotonic() < deadline:
            text = "".join(file.read_text() for file in files if file.exists())
            _, started, rest = text.partition(f"'start {self._mark}'\n")
            sent, stopped, _ = rest.partition(f"'stop {self._mark}'\n")
            if started and stopped:
                return sent
            Event().wait(0.1)
        raise LogTornOff


def statements(lines: Iterable[str]) -> Iterator[Statement]:
    """Read statements from the lines of the log. A line that begins with a tab continues one."""
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
    """Return what a statement has in common with those that differ in values only."""
    text = " ".join(text.split()).replace('"', "")
    text = _VALUE.sub("?", _QUOTED.sub("?", text))
    return _LISTS.sub("(…), …", _LIST.sub("(…)", text))


def shortened(text: str, width: int = SHOWN) -> str:
    """Return a normalised statement without its columns, cut to a line.

    One that changes several tables is told by those alone.
    """
    if text.startswith("WITH ") and (changes := _CHANGES.findall(text)):
        text = " + ".join(f"{verb} {table}" for verb, table in changes)
    elif text.startswith("SELECT ") and (at := _top_level_from(text)):
        text = f"SELECT … {text[at:]}"
    else:
        text = re.sub(r"^(INSERT INTO \S+) \([^()]*\)", r"\1 (…)", text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _top_level_from(text: str) -> int:
    """Return where the FROM begins that is in no parentheses; 0 if there is none."""
    depth = 0
    for part in re.finditer(r"[()]|\bFROM\b", text):
        depth += {"(": 1, ")": -1}.get(part[0], 0)
        if part[0] == "FROM" and depth == 0:
            return part.start()
    return 0


def counted(sent: Iterable[Statement], orders: int) -> list[tuple[str, str, float]]:
    """Return program, normalised text and times per order, the most frequent first."""
    counts = Counter((each.program, normalised(each.text)) for each in sent if not each.is_control)
    return [(program, text, number / orders) for (program, text), number in counts.most_common()]


def commits(sent: Iterable[Statement]) -> int:
    """Count the commits that wrote or locked something, which are those that wait for the disk."""
    found = 0
    wrote: dict[str, bool] = {}  # by session that is in a transaction
    for each in sent:
        match each.text.upper().rstrip("; ").split():
            case ["BEGIN" | "START", *_]:
                wrote[each.session] = False
            case ["COMMIT", *_]:
                found += wrote.pop(each.session, False)
            case ["ROLLBACK"]:
                wrote.pop(each.session, None)
            case _ if each.session in wrote:
                wrote[each.session] |= each.writes
            case _:
                found += each.writes
    return found
