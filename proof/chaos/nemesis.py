"""Carries out a plan's disruptions at their times, and logs each one."""

import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any, Final

import psycopg
import redis

from proof.chaos.fault_proxy import Behaviour
from proof.chaos.plan import Disruption, DisruptionKind
from proof.chaos.process_signals import ProcessMissing, children_of, send_signal
from proof.chaos.proxy_control import CONTROL, EDGES, ProxyControl
from sandbox.programs import POSTGRES
from sandbox.system import System

CONNECT_SECONDS: Final = 2

_BACKENDS: Final = """
    SELECT pid FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid
"""


class Nemesis:
    """Carries out disruptions. For one thread, except ``stop``.

    While it works, no other thread may use the supervisor.
    """

    def __init__(self, system: System, seed: int, log: Path, began: float) -> None:
        self._system = system
        self._log = log.open("w")
        self._began = began
        self._dice = random.Random(f"{seed}/victims")  # noqa: S311 - chance that can be repeated
        self._stopped = threading.Event()
        self._proxy = ProxyControl(system.ports[CONTROL])
        self._paused: dict[str, int] = {}
        self._handlers: Mapping[DisruptionKind, Callable[[Disruption], int | None]] = {
            DisruptionKind.KILL: self._kill,
            DisruptionKind.KILL_CHILD: self._kill_child,
            DisruptionKind.PAUSE: self._pause,
            DisruptionKind.KILL_BACKEND: self._kill_backend,
            DisruptionKind.END_BACKEND: self._end_backend,
            DisruptionKind.FLUSH: self._flush,
            DisruptionKind.NETWORK: self._disturb_network,
        }
        self.done: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.postgres_killed_at: list[float] = []
        self.affected: dict[str, dict[str, int]] = {}
        """How often each mode affected each edge; known after ``heal``."""

    def work(self, disruptions: tuple[Disruption, ...]) -> None:
        """Begin and end every disruption at its time. Returns early after ``stop``."""
        agenda = [
            (disruption.at, number, disruption, False)
            for number, disruption in enumerate(disruptions)
        ]
        heapify(agenda)
        while agenda:
            at, number, disruption, is_end = heappop(agenda)
            if self._stopped.wait(max(0.0, at - self._now())):
                return
            if is_end:
                self._end(disruption)
                continue
            self._begin(disruption)
            if disruption.seconds:
                heappush(agenda, (at + disruption.seconds, number, disruption, True))

    def stop(self) -> None:
        self._stopped.set()

    def heal(self) -> None:
        """End every lasting disruption. Call it once, after ``work`` has returned."""
        for edge in EDGES:
            self._proxy.behave(edge.name, Behaviour())
        for target in list(self._paused):
            self._resume(target)
        self.affected = {edge.name: dict(self._proxy.affected(edge.name)) for edge in EDGES}
        self._write("heal", "", "done")
        with self._proxy:
            self._log.close()

    def _begin(self, disruption: Disruption) -> None:
        label = label_of(disruption)
        try:
            pid = self._handlers[disruption.kind](disruption)
        except (ProcessMissing, psycopg.Error, redis.RedisError) as error:
            self.missed[label] += 1
            self._write(disruption.kind, disruption.target, f"missed: {type(error).__name__}")
            return
        self.done[label] += 1
        details = {} if disruption.behaviour is None else disruption.behaviour._asdict()
        details |= {"pid": pid, "seconds": disruption.seconds}
        self._write(disruption.kind, disruption.target, "done", **details)

    def _end(self, disruption: Disruption) -> None:
        if disruption.kind == DisruptionKind.NETWORK:
            self._proxy.behave(disruption.target, Behaviour())
        else:
            self._resume(disruption.target)
        self._write(f"{disruption.kind} ends", disruption.target, "done")

    def _kill(self, disruption: Disruption) -> int:
        pid = self._pid_of(disruption.target)
        send_signal(pid, signal.SIGKILL, parent=self._system.supervisor.pid)
        if disruption.target == POSTGRES:
            self.postgres_killed_at.append(self._now())
        return pid

    def _kill_child(self, disruption: Disruption) -> int:
        parent = self._pid_of(disruption.target)
        if not (children := children_of(parent)):
            raise ProcessMissing
        pid = self._dice.choice(children)
        send_signal(pid, signal.SIGKILL, parent=parent)
        return pid

    def _pause(self, disruption: Disruption) -> int:
        pid = self._pid_of(disruption.target)
        send_signal(pid, signal.SIGSTOP, parent=self._system.supervisor.pid)
        self._paused[disruption.target] = pid
        return pid

    def _resume(self, target: str) -> None:
        pid = self._paused.pop(target, None)
        if pid is not None:
            try:
                send_signal(pid, signal.SIGCONT, parent=self._system.supervisor.pid)
            except ProcessMissing:
                self._write("resume", target, "killed meanwhile")

    def _kill_backend(self, _: Disruption) -> int:
        with self._database() as connection:
            pid = self._some_backend(connection)
        send_signal(pid, signal.SIGKILL, parent=self._pid_of(POSTGRES))
        self.postgres_killed_at.append(self._now())
        return pid

    def _end_backend(self, _: Disruption) -> int:
        with self._database() as connection:
            pid = self._some_backend(connection)
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        return pid

    def _some_backend(self, connection: psycopg.Connection) -> int:
        found = [int(pid) for (pid,) in connection.execute(_BACKENDS)]
        if not found:
            raise ProcessMissing
        return self._dice.choice(found)

    def _flush(self, _: Disruption) -> None:
        url = self._system.settings["REDIS_URL"]
        with redis.Redis.from_url(url, socket_timeout=CONNECT_SECONDS) as broker:
            broker.flushall()

    def _disturb_network(self, disruption: Disruption) -> None:
        if disruption.behaviour is not None:
            self._proxy.behave(disruption.target, disruption.behaviour)

    def _database(self) -> psycopg.Connection:
        url = self._system.settings["DATABASE_URL"]
        return psycopg.connect(url, connect_timeout=CONNECT_SECONDS)

    def _pid_of(self, program: str) -> int:
        pid = self._system.pids().get(program)
        if pid is None:
            raise ProcessMissing
        return pid

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _write(self, kind: str, target: str, result: str, **details: Any) -> None:
        line = {"at": round(self._now(), 3), "kind": kind, "target": target, "result": result}
        self._log.write(json.dumps({**line, **details}) + "\n")
        self._log.flush()


def label_of(disruption: Disruption) -> str:
    """Return the label under which a disruption is counted."""
    if disruption.behaviour is not None:
        return f"{disruption.target}: {disruption.behaviour.mode}"
    return f"{disruption.kind} {disruption.target}"
