"""The folder of one all-in-one run: its data, logs, secrets and locks."""

import fcntl
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from sandbox.procfile import ROOT

PREDECESSOR_SECONDS: Final = 60
STOP_SECONDS: Final = 180
LAUNCHER_SECONDS: Final = 10


class AlreadyRunning(Exception):
    """Another run of this clone uses the folder."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"var/{name} is in use: another run of this clone is up, or is still stopping"
        )


class StillRunning(Exception):
    """A run did not end in time after it was asked to stop."""

    def __init__(self, name: str, launcher: int) -> None:
        super().__init__(
            f"var/{name}: process {launcher} has not stopped everything within {STOP_SECONDS} s."
            f" Its log files are in var/{name}/log."
        )


class Secrets(NamedTuple):
    """Created once per folder, and kept as long as its data."""

    secret_key: str
    installation_id: str
    stripe_key: str
    admin_password: str
    operator_password: str
    flower_password: str


class RunDirectory:
    """``var/<name>``. The paths in the programs' command lines are relative to the project's folder."""

    def __init__(self, name: str, *, published: str) -> None:
        self.name = name
        self.relative = Path("var", name)
        self.path = ROOT / self.relative
        self.published = ROOT / published
        self.configuration = self.relative / "supervisord.conf"
        self.logs = self.path / "log"
        self.postgres = self.path / "postgres"
        self.ledger = self.path / "stripe" / "ledger.jsonl"
        self.stripe_port_file = self.path / "stripe" / "port"
        self.service_folder = self.stripe_port_file.parent
        self._pause_lock = self.path / "pause.lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder until the block ends. Raises AlreadyRunning.

        The kernel releases the lock when this process ends, however it ends.
        """
        with self._lock_file() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AlreadyRunning(self.name) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            self._wait_for_predecessor()
            yield

    def launcher(self) -> int | None:
        """Return the pid of the process that has locked the folder; None if none has.

        Raises AlreadyRunning if that process cannot be found: it is another user's, for example.
        """
        pause = threading.Event()
        deadline = time.monotonic() + LAUNCHER_SECONDS
        with self._lock_file() as file:
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.seek(0)
                    pid = file.read()
                else:
                    return None
                if pid.isdecimal() and _working_folder(int(pid)) == ROOT:
                    return int(pid)
                pause.wait(0.05)  # it has just locked the folder, or is about to unlock it
        raise AlreadyRunning(self.name)

    def wait_for_end(self, launcher: int) -> None:
        """Return when the run of this launcher has ended. Raises StillRunning after STOP_SECONDS."""
        deadline = time.monotonic() + STOP_SECONDS
        pause = threading.Event()
        while self.launcher() == launcher:
            if time.monotonic() > deadline:
                raise StillRunning(self.name, launcher)
            pause.wait(0.1)

    def remove_leftovers(self) -> None:
        """Remove the ``up.json`` of a run that was killed, once its programs have ended.

        Raises AlreadyRunning.
        """
        with self.locked():
            self.published.unlink(missing_ok=True)

    def _lock_file(self) -> TextIO:
        lock = self.path.with_name(f"{self.path.name}.lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a+")

    def _wait_for_predecessor(self) -> None:
        """Wait while the supervisor of a killed run is still stopping its programs."""
        deadline = time.monotonic() + PREDECESSOR_SECONDS
        pause = threading.Event()
        while self._is_supervised():
            if time.monotonic() > deadline:
                raise AlreadyRunning(self.name)
            pause.wait(0.1)

    def _is_supervised(self) -> bool:
        try:
            pid = int((self.path / "supervisord.pid").read_text())
            words = Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return False
        return bytes(self.configuration) in words and _working_folder(pid) == ROOT

    def clear(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def prepare(self) -> None:
        for folder in (self.logs, self.ledger.parent):
            folder.mkdir(parents=True, exist_ok=True)

    def secrets(self) -> Secrets:
        """Return the folder's secrets. Creates and stores those that are missing."""
        file = self.path / "secrets.json"
        known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        if not known.keys() >= set(Secrets._fields):
            made = Secrets(
                secret_key=secrets.token_urlsafe(48),
                installation_id=f"sandbox-{secrets.token_hex(6)}",
                stripe_key=f"sk_test_sandbox{secrets.token_hex(12)}",
                admin_password=secrets.token_urlsafe(12),
                operator_password=secrets.token_urlsafe(12),
                flower_password=secrets.token_urlsafe(12),
            )
            known = made._asdict() | known
            write_privately(file, known)
        return Secrets(**{name: known[name] for name in Secrets._fields})

    @contextmanager
    def ordering_paused(self) -> Iterator[None]:
        """Keep the demo from placing orders until the block, or this process, ends."""
        with self._pause_lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def is_ordering_paused(self) -> bool:
        """Return whether a process is inside ``ordering_paused``."""
        with self._pause_lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


UP: Final = RunDirectory("up", published="var/up.json")
SMOKE: Final = RunDirectory("smoke", published="var/smoke/up.json")


def _working_folder(pid: int) -> Path | None:
    """Return the folder in which a process works; None if it has ended, or is another user's."""
    try:
        return Path("/proc", str(pid), "cwd").readlink()
    except OSError:
        return None


def write_privately(file: Path, content: object) -> None:
    """Replace a JSON file atomically, with mode 0600."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(content, stream, indent=2)
        stream.write("\n")
    fresh.replace(file)
