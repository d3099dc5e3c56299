"""The append-only file with everything that the sandbox has done.

Each call that changes something is one line: the new versions of all objects, and the response saved
under the idempotency key. A line that a crash cuts off is a whole call, which got no response.
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

from sandbox.http_service.idempotency import SavedResponse
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
    """A line before the last one cannot be read. A crash cannot cause that."""


@dataclass(frozen=True)
class LedgerEntry:
    at: int
    changes: list[Record]
    saved: SavedResponse | None = None
    advanced_by: int | None = None
    """The clock's new offset, if it changed."""


class Ledger:
    """Opens and locks ``path``; raises LedgerInUse. Use from one event loop only."""

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

    def replay(self) -> Iterator[LedgerEntry]:
        """Yield every entry, oldest first. Then remove a last line that a crash left incomplete.

        Raises LedgerDamaged.
        """
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
        """Delete all entries. Call it only while everything is on disk."""
        os.ftruncate(self._file, 0)

    def append(self, entry: LedgerEntry) -> None:
        """Queue ``entry`` for the disk. It is durable once ``durable`` has returned."""
        self._waiting.append(_encoded(entry))
        self.appended += 1

    @property
    def is_durable(self) -> bool:
        """Return whether everything appended so far is on disk."""
        return self._on_disk == self.appended

    async def durable(self) -> None:
        """Wait until everything appended so far is on disk. Concurrent callers share one sync."""
        appended = self.appended
        while self._on_disk < appended:
            if self._flush is None:
                self._flush = asyncio.create_task(self._write_waiting())
            await asyncio.shield(self._flush)

    def close(self) -> None:
        """Write the queued entries, and close the file."""
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
            # After a failed sync it is unknown what is on disk, so no call may get a response.
            print(f"ledger {self._path}: {error}", file=sys.stderr, flush=True)
            os._exit(CANNOT_WRITE)


def _sync_directory(directory: Path) -> None:
    """Make the name of a new file durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _encoded(entry: LedgerEntry) -> str:
    line: JsonObject = {"at": entry.at}
    if entry.changes:
        line["changes"] = [[KIND_OF[type(record)], vars(record)] for record in entry.changes]
    if entry.saved is not None:
        line["saved"] = vars(entry.saved)
    if entry.advanced_by is not None:
        line["advanced_by"] = entry.advanced_by
    return encode(line) + "\n"


def _decoded(line: bytes) -> LedgerEntry:
    row = json.loads(line)
    return LedgerEntry(
        at=row["at"],
        changes=[KINDS[kind](**fields) for kind, fields in row.get("changes", ())],
        saved=SavedResponse(**row["saved"]) if "saved" in row else None,
        advanced_by=row.get("advanced_by"),
    )
