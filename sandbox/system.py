"""The all-in-one run: chooses ports, starts all programs in order, writes up.json, stops them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import urllib3

from sandbox import postgres, valkey
from sandbox.application import (
    ADMIN,
    FLOWER_USER,
    OPERATOR,
    commands_environment,
    process_environment,
    settings_for,
)
from sandbox.environment import given_addresses
from sandbox.http_service.control import PREFIX
from sandbox.outside_service.services import program_of, requested_services, setting_of
from sandbox.ports import LOOPBACK, PortTaken, ReservedPort
from sandbox.process_lifetime import adopt_orphans, kill_children, owned_environment
from sandbox.procfile import ROOT, declared
from sandbox.programs import (
    DESK,
    FRONT,
    ORDINARY,
    POSTGRES,
    REPLACED_BY,
    STRIPE,
    VALKEY,
    WEB,
    WORKERS,
    Layout,
    display_name,
    programs,
)
from sandbox.run_directory import RunDirectory, write_privately
from sandbox.supervision import Status, Supervisor

START_SECONDS: Final = 180
ATTEMPTS: Final = 5
MAX_EXITS: Final = 3  # of a program that was never ready

Readiness = Callable[[Status], bool]

_PORTS: Final = (POSTGRES, VALKEY, STRIPE, WEB, DESK, "flower", "metrics", "supervisor")


class StartFailed(Exception):
    """A program did not become ready; the message ends with its last log lines."""

    def __init__(self, program: str, log: str) -> None:
        super().__init__(f"{program} did not start. Its last log lines:\n{log[-3000:]}")


class SupervisorGone(Exception):
    """Supervisord ended unexpectedly, and all programs with it."""

    def __init__(self) -> None:
        super().__init__("supervisord has ended by itself, and all programs with it")


@contextmanager
def running(
    directory: RunDirectory,
    caller: Mapping[str, str],
    *,
    tell: Callable[[str], None],
    left_out: frozenset[str] = frozenset(),
    layout: Layout = ORDINARY,
    refills: bool = False,
) -> Iterator["System"]:
    """Start all programs, and stop them when the block ends: no process is left.

    ``left_out`` are processes of the Procfile that this run does not start. ``layout`` adds or
    changes programs. With ``refills``, products that have sold out get new stock.
    """
    adopt_orphans()
    system = System(directory, caller, tell, left_out, layout, refills=refills)
    try:
        system.start()
        yield system
    finally:
        system.stop()


class System:
    """The programs that `make up` starts: embedded servers, the application, their supervisor."""

    supervisor: Supervisor
    own_token: str
    customer_token: str
    shop_token: str

    def __init__(
        self,
        directory: RunDirectory,
        caller: Mapping[str, str],
        tell: Callable[[str], None],
        left_out: frozenset[str],
        layout: Layout,
        *,
        refills: bool,
    ) -> None:
        self.directory = directory
        given = given_addresses(caller)
        self.external = frozenset(server for name, server in REPLACED_BY.items() if name in given)
        self._caller = caller
        self._tell = tell
        self._left_out = left_out
        self._layout = layout
        self._refills = refills
        self._services = requested_services(caller.get("WITH", ""))
        self._ports: dict[str, ReservedPort] = {}
        self._cleanup = ExitStack()
        self._pids: dict[str, int] = {}
        self._declared: list[str] = []

    @property
    def ports(self) -> dict[str, int]:
        return {name: port.number for name, port in self._ports.items()}

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports[WEB].number}"

    @property
    def desk_url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports[DESK].number}"

    @property
    def stripe_url(self) -> str | None:
        """Return the address of the Stripe sandbox; None if the run does not start it."""
        return None if STRIPE in self.external else self.settings["STRIPE_API_BASE"]

    def start(self) -> None:
        """Start everything on free ports; if another program takes one, choose other ports."""
        self.directory.prepare()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._choose_ports()
                self._start_once()
            except PortTaken as taken:
                self._stop_programs()
                if attempt == ATTEMPTS or taken.port in self._fixed_ports():
                    raise
            else:
                self.publish()
                return

    def stop(self) -> None:
        """Stop all programs in order, then remove ``up.json``. Ignores further signals.

        Safe at any moment of the start.
        """
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        try:
            self._stop_programs()
        finally:
            self.directory.published.unlink(missing_ok=True)

    def pids(self) -> dict[str, int]:
        """Return the pid of each program that is running."""
        statuses = self.supervisor.statuses()
        return {name: status.pid for name, status in statuses.items() if status.pid}

    def publish(self) -> None:
        """Write ``up.json`` if a pid has changed: a restarted program has a new one."""
        pids = self.pids()
        if (pids and pids != self._pids) or not self.directory.published.exists():
            self._pids = pids
            write_privately(self.directory.published, self._published(pids))

    def stay(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Keep ``up.json`` up to date, and call ``meanwhile`` often, until a signal ends the run.

        Raises SupervisorGone.
        """
        pause = threading.Event()
        try:
            while not self.supervisor.has_ended():
                self.publish()
                meanwhile()
                pause.wait(0.5)
        except KeyboardInterrupt:
            self._tell("Stopping.")
        else:
            raise SupervisorGone

    def _choose_ports(self) -> None:
        services = {program_of(name): port for name, port in self._services.items()}
        fixed = {WEB: int(self._caller.get("PORT", "0")), **services}
        for name in (*_PORTS, *services, *self._layout.ports):
            self._ports[name] = port = ReservedPort(fixed.get(name, 0))
            self._cleanup.callback(port.close)
        self.settings = settings_for(self.directory, self.ports, self._caller)
        self.environment = process_environment(self.directory, self.ports, self._caller)

    def _start_once(self) -> None:
        for file in (self.directory.stripe_port_file, *map(self._port_file, self._services)):
            file.unlink(missing_ok=True)
        self._tell("Starting")
        self.supervisor = Supervisor(
            self.directory,
            self._layout.arrange(
                programs(
                    self.directory,
                    self.ports,
                    external=self.external,
                    left_out=self._left_out,
                    services=list(self._services),
                ),
                self.ports,
                self.settings,
            ),
            port=self.ports["supervisor"],
            environment=self.environment,
        )
        self._cleanup.callback(self.supervisor.stop)
        servers = self._servers().items()
        self._await({name: ready for name, ready in servers if name not in self.external})
        began = time.monotonic()
        self._prepare()
        self._report_ready("database and catalogue", began)
        self.supervisor.start_group(WORKERS)
        self.supervisor.start_group(FRONT)
        serving: dict[str, Readiness] = {
            WEB: lambda _: self._is_web_ready(),
            DESK: lambda _: self._is_desk_ready(),
        }
        self._await(
            {
                name: serving.get(name, _has_settled)
                for name in declared()
                if name not in self._left_out
            }
        )

    def _report_ready(self, what: str, began: float) -> None:
        self._tell(f"  \N{CHECK MARK} {what:<24} {time.monotonic() - began:4.1f} s")

    def _servers(self) -> dict[str, Readiness]:
        return {
            POSTGRES: lambda status: postgres.is_ready(self.directory.postgres, status.pid),
            VALKEY: lambda status: valkey.is_ready(self._ports[VALKEY].number, status.pid),
            STRIPE: lambda _: self.directory.stripe_port_file.exists(),
            **{program_of(name): partial(self._listens, name) for name in self._services},
        }

    def _fixed_ports(self) -> set[int]:
        return {int(self._caller.get("PORT", "0")), *self._services.values()} - {0}

    def _listens(self, service: str, _: Status) -> bool:
        return self._port_file(service).exists()

    def _port_file(self, service: str) -> Path:
        return self.directory.service_folder / f"{service}-port"

    def _await(self, programs: Mapping[str, Readiness]) -> None:
        """Wait until all programs are ready, and print each as it becomes ready.

        Raises PortTaken, or StartFailed.
        """
        began = time.monotonic()
        waiting = dict(programs)
        ends: dict[str, set[int]] = {name: set() for name in programs}
        pause = threading.Event()
        while waiting and time.monotonic() < began + START_SECONDS:
            statuses = self.supervisor.statuses()
            for name, is_ready in list(waiting.items()):
                status = statuses.get(name)
                if status and status.running and is_ready(status):
                    del waiting[name]
                    self._report_ready(display_name(name), began)
                elif status and status.ended_at:
                    ends[name].add(status.ended_at)
                    self._raise_if_failed(name, status, len(ends[name]))
            if self.supervisor.has_ended():
                self._raise_if_port_taken("supervisor")
                raise StartFailed("supervisord", self._log("supervisord"))
            if waiting:
                pause.wait(0.05)
        for name in waiting:
            raise StartFailed(name, self._log(name))

    def _raise_if_failed(self, name: str, status: Status, ends: int) -> None:
        if not status.running:
            self._raise_if_port_taken(name)
        if ends >= MAX_EXITS:
            raise StartFailed(name, self._log(name))

    def _raise_if_port_taken(self, name: str) -> None:
        """Raise PortTaken if another program listens on the port of a program that does not run."""
        if name in self._ports and self._ports[name].is_served():
            raise PortTaken(self._ports[name].number)

    def _log(self, name: str) -> str:
        file = self.directory.logs / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else "(none)"

    def _prepare(self) -> None:
        secrets = self.directory.secrets()
        options = {
            "admin_password": secrets.admin_password,
            "operator_password": secrets.operator_password,
            "refill": self._refills,
            "is_own_database": POSTGRES not in self.external,
            "clocks": self._clocks(),
        }
        finished = subprocess.run(
            [sys.executable, "-m", "sandbox.prepare"],
            cwd=ROOT,
            env=owned_environment(self.environment),
            input=json.dumps(options),
            capture_output=True,
            text=True,
            check=False,
        )
        (self.directory.logs / "prepare.log").write_text(finished.stderr)
        if finished.returncode != 0:
            raise StartFailed("The application", finished.stderr)
        prepared = json.loads(finished.stdout)
        self.own_token = prepared["own_token"]
        self.customer_token, self.shop_token = prepared["customer_token"], prepared["shop_token"]
        self._declared = prepared["settings"]

    def _clocks(self) -> list[str]:
        """Return the addresses that move the clocks of the services which this run has started."""
        names = [STRIPE] if STRIPE not in self.external else []
        names += map(program_of, self._services)
        return [f"http://{LOOPBACK}:{self._ports[name].number}{PREFIX}clock" for name in names]

    def _is_web_ready(self) -> bool:
        """Return whether this run's web serves the port: another run's would not accept the token."""
        token = {"Authorization": f"Bearer {self.own_token}"}
        return _is_ok(f"{self.base_url}/api/v1/products", token)

    def _is_desk_ready(self) -> bool:
        return _is_ok(f"{self.desk_url}/admin/login/")

    def _published(self, pids: dict[str, int]) -> dict[str, object]:
        secrets = self.directory.secrets()
        ours = STRIPE not in self.external
        return {
            "base_url": self.base_url,
            "desk_url": self.desk_url,
            "customer_token": self.customer_token,
            "shop_token": self.shop_token,
            "admin": {
                "url": f"{self.desk_url}/admin/",
                "username": ADMIN,
                "password": secrets.admin_password,
            },
            "operator": {
                "url": f"{self.desk_url}/admin/",
                "username": OPERATOR,
                "password": secrets.operator_password,
            },
            "api_docs_url": f"{self.base_url}/api/docs/",
            "flower": {
                "url": f"http://{LOOPBACK}:{self._ports['flower'].number}/",
                "username": FLOWER_USER,
                "password": secrets.flower_password,
            },
            "metrics": {"url": f"http://{LOOPBACK}:{self._ports['metrics'].number}/metrics"},
            "sandbox": {
                "url": self.stripe_url,
                "control_url": f"{self.stripe_url}/control" if ours else None,
                "ledger": str(self.directory.ledger) if ours else None,
            },
            "outside_services": {
                name: {
                    "url": f"http://{LOOPBACK}:{self._ports[program_of(name)].number}",
                    "setting": setting_of(name),
                }
                for name in self._services
            },
            "database_url": self.settings["DATABASE_URL"],
            "redis_url": self.settings["REDIS_URL"],
            "installation_id": secrets.installation_id,
            "pids": pids,
            "supervisor": self.supervisor.pid,
            "launcher": os.getpid(),
            "env": commands_environment(self.settings, self.environment, self._declared),
            "settings": self._declared,
        }

    def _stop_programs(self) -> None:
        self._cleanup.close()
        kill_children()


def _is_ok(url: str, headers: Mapping[str, str] | None = None) -> bool:
    try:
        response = urllib3.request("GET", url, headers=headers, timeout=5, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return response.status == 200  # noqa: PLR2004


def _has_settled(status: Status) -> bool:
    """Return whether a program without a port has run for a second."""
    return status.settled
