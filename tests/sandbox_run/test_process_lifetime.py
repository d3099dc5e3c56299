"""Processes end with their owner, also when it is killed."""

import signal
import subprocess
import sys
from pathlib import Path

from sandbox.embedded_servers import ROOT
from sandbox.process_lifetime import OWNER
from tests.support.processes import is_alive
from tests.support.waits import PATIENCE_SECONDS, wait_until

OWN_TWO_SERVERS = """
import sys, pathlib
from sandbox.embedded_servers import start_postgres, start_valkey
folder = pathlib.Path(sys.argv[1])
print(start_postgres(folder).pid, start_valkey(folder).pid, flush=True)
sys.stdin.read()
"""


def test_servers_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWN_TWO_SERVERS, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdin is not None
    servers = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(servers) == 2
    assert all(is_alive(pid) for pid in servers)

    owner.kill()
    owner.wait(PATIENCE_SECONDS)

    wait_until(lambda: not any(map(is_alive, servers)), "the servers end")
    owner.stdin.close()
    owner.stdout.close()
    # PostgreSQL removes the file in a shutdown, and leaves it in a crash.
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()


def test_a_command_whose_owner_has_ended_does_not_start() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    late = subprocess.run(
        [sys.executable, "-m", "sandbox.process_lifetime", signal.SIGTERM.name, "echo", "started"],
        cwd=ROOT,
        env={OWNER: str(gone.pid)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert late.returncode == 1
    assert late.stdout == ""
    assert f"({gone.pid}) has ended" in late.stderr
