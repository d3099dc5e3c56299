"""The embedded PostgreSQL: accounts, password, readiness."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from sandbox import postgres
from sandbox.embedded_servers import ROOT, EmbeddedServer, start_postgres
from sandbox.ports import ReservedPort
from sandbox.process_lifetime import owned_environment
from sandbox.unprivileged import Account, _can
from tests.support.processes import owner_of
from tests.support.waits import PATIENCE_SECONDS, wait_until

PROGRAM = (sys.executable, "-m", "sandbox.postgres", "--disposable")
NOBODY = pwd.getpwnam("nobody").pw_uid

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change accounts")
with_namespaces = pytest.mark.skipif(
    not _can(Account.NAMESPACE, postgres.binary("postgres"), Path("/")),
    reason="this system forbids user namespaces",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike ``tmp_path``."""
    with tempfile.TemporaryDirectory(prefix="holdfast test ") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """PostgreSQL's programs in a folder that every user may enter; the project's may be closed."""
    with tempfile.TemporaryDirectory(prefix="holdfast-programs-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        programs = postgres.binary("postgres").parent
        wheel = programs.parent.parent
        for package in (wheel, wheel.with_name(f"{wheel.name}.libs")):  # programs and libraries
            shutil.copytree(package, folder / package.name)
        yield folder / programs.relative_to(wheel.parent)


RUN_PROGRAMS = """
import os, pathlib, sys
from sandbox import postgres

data, port, programs, user = sys.argv[1:]
postgres.binary = pathlib.Path(programs).joinpath
if user:  # only root can start the interpreter when the project's folder is closed to others
    os.setgroups([])
    os.setuid(int(user))
postgres.run(pathlib.Path(data), int(port), durable=False)
"""


@contextmanager
def running(data: Path, programs: Path, *, user: str = "") -> Iterator["subprocess.Popen[bytes]"]:
    """Run the server from ``programs``, started by root or by the user with this id."""
    port = ReservedPort()
    server = subprocess.Popen(
        [sys.executable, "-c", RUN_PROGRAMS, str(data), str(port.number), str(programs), user],
        cwd=ROOT,
        env=owned_environment(os.environ),
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(
            lambda: postgres.is_ready(data, server.pid) or server.poll() is not None, "an answer"
        )
        assert server.poll() is None
        yield server
    finally:
        server.kill()
        server.wait()
        port.close()


@contextmanager
def serving(folder: Path) -> Iterator[EmbeddedServer]:
    server = start_postgres(folder)
    try:
        yield server
    finally:
        server.stop()


def ask(folder: Path, server: EmbeddedServer, query: str) -> object:
    url = postgres.database_url(folder / "postgres", server.port)
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_the_server_keeps_the_process_id_that_was_started(folder: Path) -> None:
    with serving(folder) as server:
        first_line = (folder / "postgres" / "postmaster.pid").read_text().splitlines()[0]

        assert first_line == str(server.pid)
        assert ask(folder, server, "SHOW timezone") == "UTC"
        assert ask(folder, server, "SHOW max_connections") == "400"
        assert ask(folder, server, "SHOW unix_socket_directories") == ""


def test_a_wrong_password_is_rejected(folder: Path) -> None:
    with serving(folder) as server:
        secret = postgres.password_file(folder / "postgres")
        url = postgres.database_url(folder / "postgres", server.port)

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace(secret.read_text(), "guessed"))

        assert secret.stat().st_mode & 0o777 == 0o600


@as_root
def test_as_root_it_runs_as_nobody_in_an_open_folder(folder: Path, programs: Path) -> None:
    with running(folder / "postgres", programs) as server:
        assert owner_of(server.pid) == NOBODY
        assert (folder / "postgres").stat().st_uid == NOBODY


@as_root
@with_namespaces
def test_as_root_it_runs_in_a_user_namespace_in_a_closed_folder(folder: Path) -> None:
    folder.chmod(0o700)

    with serving(folder) as server:
        assert ask(folder, server, "SELECT 1") == 1
        assert owner_of(server.pid) == 0
        assert (folder / "postgres").stat().st_uid == 0


@as_root
@with_namespaces
def test_data_survives_a_change_of_account(folder: Path) -> None:
    with serving(folder) as server:
        ask(folder, server, "SELECT lo_create(77)")
    folder.chmod(0o700)

    with serving(folder) as server:
        assert ask(folder, server, "SELECT oid FROM pg_largeobject_metadata") == 77
        assert (folder / "postgres").stat().st_uid == 0


@as_root
def test_an_ordinary_user_runs_it_under_its_own_account(folder: Path, programs: Path) -> None:
    os.chown(folder, NOBODY, -1)
    data = folder / "postgres"
    with running(data, programs, user=str(NOBODY)) as server:
        assert owner_of(server.pid) == NOBODY
        assert postgres.password_file(data).stat().st_uid == NOBODY
        server.send_signal(signal.SIGINT)
        assert server.wait(PATIENCE_SECONDS) == 0


def test_an_interrupted_initialisation_starts_again(folder: Path) -> None:
    half_done = folder / "postgres.new"
    half_done.mkdir()
    (half_done / "PG_VERSION").write_text("18\n")

    with serving(folder) as server:
        assert ask(folder, server, "SELECT 1") == 1
        assert not half_done.exists()


def test_another_server_on_the_port_does_not_count_as_ready(folder: Path) -> None:
    mine = folder / "mine"
    mine.mkdir(mode=0o711)
    with serving(folder) as other:
        late = subprocess.Popen(
            [*PROGRAM, "--data", str(mine / "postgres"), "--port", str(other.port)],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )

        assert late.wait(PATIENCE_SECONDS) == 1
        assert not postgres.is_ready(mine / "postgres", late.pid)
        assert not postgres.is_ready(folder / "postgres", late.pid)
        assert postgres.is_ready(folder / "postgres", other.pid)


def test_data_without_its_password_is_left_alone(folder: Path) -> None:
    with serving(folder):
        pass
    postgres.password_file(folder / "postgres").unlink()

    with pytest.raises(SystemExit, match="has lost its password"):
        postgres.prepare_password(folder / "postgres")

    assert not postgres.password_file(folder / "postgres").exists()
