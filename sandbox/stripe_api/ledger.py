"""The append-only file behind the sandbox: what stands in it has happened, and nothing else has.

One line for each call that changed something, holding every new version of an object together with
the answer saved under the idempotency key: a line torn by a crash takes a whole call with it, one
that was never answered.
"""

import asyncio
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox.http_service.idempotency import SavedAnswer
from sandbox.http_service.json_values import JsonObject, encode
from sandbox.stripe_api.records import Charge, PaymentIntent, Record, Refund

KINDS: dict[str, type[PaymentIntent] | type[Charge] | type[Refund]] = {
    "payment_intent": PaymentIntent,
    "charge": Charge,
    "refund": Refund,
}
KIND_OF = {record_type: kind for kind, record_type in KINDS.items()}
CANNOT_WRITE = 74  # sysexits.h: an error while doing I/O


class LedgerInUse(Exception):
    """Another sandbox has this ledger open."""


class LedgerDamaged(Exception):
    """A line before the last one cannot be read: something other than a crash has been at it."""


@dataclass(frozen=True)
class Entry:
    at: int
    changes: list[Record]
    saved: SavedAnswer | None = None
    advanced_by: int | None = None
    """The clock's new offset, when that is what changed."""


class Ledger:
    """Opens ``path`` for itself alone. Use from one event loop only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise LedgerInUse(str(path)) from None
        _sync_directory(path.parent)
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._waiting: list[str] = []
        self._flush: asyncio.Task[None] | None = None
        self._on_disk = 0
        self.appended = 0
        self.syncs = 0

    def replay(self) -> Iterator[Entry]:
        """Read every entry, oldest first; at the end, cut off a last line that a crash left torn."""
        whole = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    entry = _decoded(line)
                except (ValueError, KeyError, TypeError) as error:
                    if file.read(1):
                        raise LedgerDamaged(f"{self._path} at byte {whole}") from error
                    break
                whole += len(line)
                yield entry
        os.ftruncate(self._file, whole)

    def empty(self) -> None:
        """Begin a new history; only while everything is on disk."""
        os.ftruncate(self._file, 0)

    def append(self, entry: Entry) -> None:
        """Put ``entry`` in line for the disk. It counts once ``durable`` has returned."""
        self._waiting.append(_encoded(entry))
        self.appended += 1

    @property
    def is_durable(self) -> bool:
        """Whether everything appended so far is on disk."""
        return self._on_disk == self.appended

    async def durable(self) -> None:
        """Return when everything appended so far is on disk. Callers at one time share a sync."""
        wanted = self.appended
        while self._on_disk < wanted:
            if self._flush is None:
                self._flush = asyncio.create_task(self._write_waiting())
            await asyncio.shield(self._flush)

    def close(self) -> None:
        """Write what is still in line, and let go of the file."""
        self._disk.shutdown()
        self._write("".join(self._waiting).encode())
        os.close(self._file)

    async def _write_waiting(self) -> None:
        lines, self._waiting = self._waiting, []
        batch = "".join(lines).encode()
        await asyncio.get_running_loop().run_in_executor(self._disk, self._write, batch)
        self._on_disk += len(lines)
        self.syncs += 1
        self._flush = None

    def _write(self, batch: bytes) -> None:
        try:
            while batch:
                batch = batch[os.write(self._file, batch) :]
            os.fdatasync(self._file)
        except OSError as error:
            # After a failed sync nobody knows what is on disk: answer nothing more, to anyone.
            print(f"ledger {self._path}: {error}", file=sys.stderr, flush=True)
            os._exit(CANNOT_WRITE)


def _sync_directory(directory: Path) -> None:
    """Make a new file's name as lasting as its content."""
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _encoded(entry: Entry) -> str:
    line: JsonObject = {"at": entry.at}
    if entry.changes:
        line["changes"] = [[KIND_OF[type(record)], vars(record)] for record in entry.changes]
    if entry.saved is not None:
        line["saved"] = vars(entry.saved)
    if entry.advanced_by is not None:
        line["advanced_by"] = entry.advanced_by
    return encode(line) + "\n"


def _decoded(line: bytes) -> Entry:
    row = json.loads(line)
    return Entry(
        at=row["at"],
        changes=[KINDS[kind](**fields) for kind, fields in row.get("changes", ())],
        saved=SavedAnswer(**row["saved"]) if "saved" in row else None,
        advanced_by=row.get("advanced_by"),
    )
