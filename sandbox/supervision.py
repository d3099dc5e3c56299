"""Runs one supervisord: configuration, start, status of its programs, stop."""

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from types import MappingProxyType
from typing import Final, NamedTuple, cast
from xml.parsers.expat import ExpatError

from sandbox.ports import LOOPBACK
from sandbox.process_lifetime import owned_environment
from sandbox.procfile import ROOT
from sandbox.run_directory import RunDirectory

STOP_SECONDS: Final = 60  # all programs in their order; each has its own, shorter, limit
CALL_SECONDS: Final = 20  # it responds at once unless the machine is busy

_PROGRAM = """
[program:{name}]
command={command}
environment={environment}
autostart={autostart}
autorestart=true
startretries=1000000
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
redirect_stderr=true
stdout_logfile={logs}/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""

_DAEMON = """
[supervisord]
nodaemon=true
silent=true
logfile={logs}/supervisord.log
pidfile={folder}/supervisord.pid
minfds=512

[inet_http_server]
port={host}:{port}
username=holdfast
password={password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


class Program(NamedTuple):
    """A command that supervisord keeps running. Groups stop one after the other, the last one first."""

    name: str
    group: str
    command: str  # without absolute paths: supervisord would interpret some characters in them
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    waits_for_start: bool = False  # for `start_group`, because it needs other programs
    environment: Mapping[str, str] = MappingProxyType({})  # in addition to the shared one


class Status(NamedTuple):
    """The state of one program at this moment, from supervisord."""

    running: bool  # it has a process
    settled: bool  # its process has run for a second
    pid: int
    ended_at: int  # 0: it has not ended since supervisord started


class _Transport(xmlrpc.client.Transport):
    def make_connection(self, host: object) -> HTTPConnection:
        connection = super().make_connection(cast("str", host))
        connection.timeout = CALL_SECONDS
        return connection


class Supervisor:
    """Keeps the programs of one run directory running, in a session of its own.

    Stops them in order after ``stop``, and when the process that created it dies.
    """

    def __init__(
        self,
        directory: RunDirectory,
        programs: Sequence[Program],
        *,
        port: int,
        environment: Mapping[str, str],
    ) -> None:
        password = secrets.token_hex(16)
        file = ROOT / directory.configuration
        file.touch(mode=0o600)
        file.write_text(configuration(directory, programs, port=port, password=password))
        self._process = self._launch(directory, environment)
        self._lock = threading.Lock()  # its connection carries one call at a time
        self._transport = _Transport()
        self._server = xmlrpc.client.ServerProxy(
            f"http://holdfast:{password}@{LOOPBACK}:{port}/RPC2", transport=self._transport
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def statuses(self) -> dict[str, Status]:
        """Return the status of each program; empty while supervisord starts or stops."""
        with self._lock:
            try:
                response = self._server.supervisor.getAllProcessInfo()
            except (OSError, HTTPException, xmlrpc.client.Error, ExpatError):
                # A signal interrupted the call, or supervisord died during its response.
                self._transport.close()
                return {}
        rows = cast("list[dict[str, object]]", response)
        return {
            str(row["name"]): Status(
                running=row["statename"] in ("STARTING", "RUNNING"),
                settled=row["statename"] == "RUNNING",
                pid=cast("int", row["pid"]),
                ended_at=cast("int", row["stop"]),
            )
            for row in rows
        }

    def start_group(self, name: str) -> None:
        with self._lock:
            self._server.supervisor.startProcessGroup(name, False)  # noqa: FBT003 - XML-RPC has no names

    def stop(self) -> None:
        """Stop all programs in order; after STOP_SECONDS by force."""
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        pause = threading.Event()
        while not self.has_ended() and time.monotonic() < deadline:
            self.statuses()  # without calls it notices ended programs only once a second
            pause.wait(0.05)
        self._process.kill()  # its programs end with it
        self._process.wait()
        self._transport.close()

    def _launch(
        self, directory: RunDirectory, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        daemon = ["-m", "supervisor.supervisord", "-c", str(directory.configuration)]
        with (directory.logs / "supervisord.out").open("ab") as output:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "sandbox.process_lifetime",
                    "SIGTERM",
                    sys.executable,
                    *daemon,
                ],
                cwd=ROOT,
                env=owned_environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only the launcher
            )


def configuration(
    directory: RunDirectory, programs: Sequence[Program], *, port: int, password: str
) -> str:
    """Return the text of supervisord.conf. Its paths are relative, so that they need no escaping."""
    logs = directory.relative / "log"
    parts = [
        _DAEMON.format(
            logs=logs, folder=directory.relative, host=LOOPBACK, port=port, password=password
        )
    ]
    parts += [
        _PROGRAM.format(
            name=program.name,
            command=_escaped(program.command),
            environment=_environment(program.environment),
            autostart=str(not program.waits_for_start).lower(),
            stop_signal=program.stop_signal,
            stop_seconds=program.stop_seconds,
            logs=logs,
        )
        for program in programs
    ]
    groups = list(dict.fromkeys(program.group for program in programs))
    for priority, group in enumerate(groups, start=1):
        members = ",".join(program.name for program in programs if program.group == group)
        parts.append(f"\n[group:{group}]\nprograms={members}\npriority={priority}\n")
    return "".join(parts)


def _environment(variables: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in variables.items())


def _escaped(text: str) -> str:
    """Escape percent signs, which supervisord would expand."""
    return text.replace("%", "%%")


def path_with_python(environment: Mapping[str, str]) -> str:
    """Return a PATH on which `python` is the present interpreter."""
    return os.pathsep.join([os.path.dirname(sys.executable), environment.get("PATH", os.defpath)])  # noqa: PTH120 - PATH is made of strings
