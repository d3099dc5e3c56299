"""The application as in production: web, a worker and the sweep as processes, with a broker."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import kombu
import redis
import urllib3

from config.celery import app
from monitoring.tasks import HEARTBEAT
from sandbox import valkey
from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.procfile import ROOT
from sandbox.stripe_process import SandboxServer
from tests.support.application_environment import environment_for
from tests.support.waits import wait_until

STOP_SECONDS = 60
KEY_PREFIX = "journeys:"
SLOTS = 8

OWNED = ("-m", "sandbox.process_lifetime", signal.SIGKILL.name, sys.executable)
WORKER = (
    *("-m", "celery", "-A", "config", "worker", "-Q", "checkout,settlement,compensation,sweeps"),
    *("--pool", "threads", "--concurrency", str(SLOTS), "--without-gossip", "--without-mingle"),
    *("--loglevel", "INFO"),  # it logs when it is ready
)
READY = " ready."
CONNECTED = "Connected to redis"
WEB = (
    *("-m", "gunicorn", "config.wsgi", "--threads", str(SLOTS)),
    "--bind",
)
WATCH = ("manage.py", "sagas", "watch", "--every", "0.5")


class Program:
    """One process, which ends with this one at the latest. Its log is kept through restarts."""

    def __init__(self, log: Path, environment: Mapping[str, str], *command: str) -> None:
        self.log = log
        self._environment = environment
        self._command = command
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                cwd=ROOT,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._process.kill()
        self._process.wait()

    def ask_to_end(self) -> None:
        """Send the signal that an operator sends."""
        self._process.terminate()

    def stop(self) -> None:
        """Ask it to end, and kill it after a minute."""
        self.ask_to_end()
        self.wait_for_end()

    def wait_for_end(self) -> None:
        """Wait until it has ended; kill it after a minute."""
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait_for_line(self, words: str, *, times: int = 1) -> None:
        """Return when its log has ``words`` so many times, earlier starts included. Fails if it ends."""

        def is_logged() -> bool:
            assert not self.has_ended(), self.log.read_text(errors="replace")
            return self.logged(words) >= times

        wait_until(is_logged)

    def logged(self, words: str) -> int:
        """Return how often its log has ``words``."""
        return self.log.read_text(errors="replace").count(words)

    def cpu_seconds(self) -> float:
        """Return the processor time of it and its children since this start, user and system."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ticks = 0
        for process in (pid, *children):
            # proc(5), fields 14 and 15, counted after the name, which may have blanks.
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


class Installation:
    """One installation. It uses the test's database and sandbox, and a broker of its own."""

    def __init__(
        self,
        sandbox_stripe: SandboxServer,
        folder: Path,
        variables: Mapping[str, str] | None = None,
        worker: Sequence[str] = WORKER,
    ) -> None:
        self._broker_port, self._web_port = ReservedPort(), ReservedPort()
        self.url = f"http://{LOOPBACK}:{self._web_port.number}"
        environment = {
            **environment_for(sandbox_stripe),
            "REDIS_URL": valkey.redis_url(self._broker_port.number),
            "REDIS_KEY_PREFIX": KEY_PREFIX,
            **(variables or {}),
        }
        self.broker = Program(
            folder / "broker.log",
            environment,
            *("-m", "sandbox.valkey", "--port", str(self._broker_port.number)),
        )
        self.worker = Program(folder / "worker.log", environment, *OWNED, *worker)
        self.watch = Program(folder / "watch.log", environment, *OWNED, *WATCH)
        bind = f"{LOOPBACK}:{self._web_port.number}"
        self.web = Program(folder / "web.log", environment, *OWNED, *WEB, bind)

    @property
    def redis_url(self) -> str:
        return valkey.redis_url(self._broker_port.number)

    @property
    def redis(self) -> redis.Redis:
        """A new connection to the broker, which tests kill at times."""
        return redis.Redis.from_url(self.redis_url)

    def wait_until_ready(self) -> None:
        wait_until(self._broker_answers)
        wait_until(self._web_answers)
        self.worker.wait_for_line(READY)

    def replace_worker(self) -> None:
        """Start the worker again after it was killed, and wait until it takes messages."""
        starts = self.worker.logged(READY)
        self.worker.start()
        self.worker.wait_for_line(READY, times=starts + 1)

    def replace_broker(self) -> None:
        """Start the broker again, empty, and wait until the worker is connected.

        Kombu's Redis transport can end a worker that loses its broker while it holds messages. The
        worker is then started again, as a supervisor does.
        """
        connections = self.worker.logged(CONNECTED)
        self.broker.start()
        wait_until(self._broker_answers)
        wait_until(lambda: self.worker.has_ended() or self.worker.logged(CONNECTED) > connections)
        if self.worker.has_ended():
            self.replace_worker()

    def replace_all(self) -> None:
        """Empty the broker, end every process, start all again, and wait until they are ready."""
        starts = self.worker.logged(READY)
        with self.redis as broker:
            broker.flushall()
        self.web.stop()  # a killed one would leave its child on the port
        for program in (self.worker, self.watch, self.broker):
            program.kill()
        for program in (self.broker, self.worker, self.watch, self.web):
            program.start()
        wait_until(self._broker_answers)
        wait_until(self._web_answers)
        self.worker.wait_for_line(READY, times=starts + 1)

    def send_heartbeat(self, queue: str) -> None:
        """Send what beat sends every 15 seconds. Raises kombu's OperationalError without a broker."""
        self.send_task(HEARTBEAT, queue)

    def send_task(self, name: str, queue: str) -> None:
        """Send a message without arguments. Raises kombu's OperationalError without a broker."""
        options = {"global_keyprefix": KEY_PREFIX, "socket_connect_timeout": 1, "max_retries": 0}
        with kombu.Connection(self.redis_url, transport_options=options) as broker:
            app.send_task(name, queue=queue, connection=broker, retry=False)

    def messages_waiting(self) -> int:
        with self.redis as broker:
            return int(broker.llen(f"{KEY_PREFIX}checkout"))

    def stop(self) -> None:
        """Stop all programs: first those that need the broker, all at the same time."""
        clients = (self.web, self.watch, self.worker)
        for program in clients:
            program.ask_to_end()
        for program in clients:
            program.wait_for_end()
        self.broker.stop()
        self._broker_port.close()
        self._web_port.close()

    def _broker_answers(self) -> bool:
        with self.redis as broker:
            try:
                return bool(broker.ping())
            except redis.RedisError:
                return False

    def _web_answers(self) -> bool:
        try:
            response = urllib3.request("GET", f"{self.url}/health/live", retries=False, timeout=20)
        except urllib3.exceptions.HTTPError:
            return False
        return response.status == 200
