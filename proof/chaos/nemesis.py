"""Carries out a plan's deeds at their times, and writes each of them down."""

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
from proof.chaos.plan import Action, Deed
from proof.chaos.proxies import CONTROL, EDGES, Proxies
from proof.chaos.victims import NotThere, children_of, strike
from sandbox.programs import POSTGRES
from sandbox.system import System

CONNECT_SECONDS: Final = 2

_BACKENDS: Final = """
    SELECT pid FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid
"""


class Nemesis:
    """For one thread, but for ``stop``. It alone talks to the supervisor while it is at work."""

    def __init__(self, system: System, seed: int, log: Path, began: float) -> None:
        self._system = system
        self._log = log.open("w")
        self._began = began
        self._dice = random.Random(f"{seed}/victims")  # noqa: S311 - chance that can be repeated
        self._stopped = threading.Event()
        self._proxies = Proxies(system.ports[CONTROL])
        self._frozen: dict[str, int] = {}
        self._deeds: Mapping[Deed, Callable[[Action], int | None]] = {
            Deed.KILL: self._kill,
            Deed.KILL_CHILD: self._kill_child,
            Deed.FREEZE: self._freeze,
            Deed.KILL_BACKEND: self._kill_backend,
            Deed.END_BACKEND: self._end_backend,
            Deed.FLUSH: self._flush,
            Deed.DISTURB: self._disturb,
        }
        self.done: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.postgres_killed_at: list[float] = []
        self.struck: dict[str, dict[str, int]] = {}
        """How often each mode met something that was sent, by edge; known once it is healed."""

    def work(self, actions: tuple[Action, ...]) -> None:
        """Do everything in order, ends included; return early once stopped."""
        agenda = [(action.at, number, action, False) for number, action in enumerate(actions)]
        heapify(agenda)
        while agenda:
            at, number, action, is_end = heappop(agenda)
            if self._stopped.wait(max(0.0, at - self._now())):
                return
            if is_end:
                self._end(action)
                continue
            self._begin(action)
            if action.seconds:
                heappush(agenda, (at + action.seconds, number, action, True))

    def stop(self) -> None:
        self._stopped.set()

    def heal(self) -> None:
        """Undo whatever lasts. Call it once, after ``work`` has returned."""
        for edge in EDGES:
            self._proxies.behave(edge.name, Behaviour())
        for target in list(self._frozen):
            self._thaw(target)
        self.struck = {edge.name: dict(self._proxies.struck(edge.name)) for edge in EDGES}
        self._write("heal", "", "done")
        with self._proxies:
            self._log.close()

    def _begin(self, action: Action) -> None:
        label = label_of(action)
        try:
            pid = self._deeds[action.deed](action)
        except (NotThere, psycopg.Error, redis.RedisError) as error:
            self.missed[label] += 1
            self._write(action.deed, action.target, f"missed: {type(error).__name__}")
            return
        self.done[label] += 1
        facts = {} if action.behaviour is None else action.behaviour._asdict()
        self._write(action.deed, action.target, "done", pid=pid, seconds=action.seconds, **facts)

    def _end(self, action: Action) -> None:
        if action.deed == Deed.DISTURB:
            self._proxies.behave(action.target, Behaviour())
        else:
            self._thaw(action.target)
        self._write(f"{action.deed} ends", action.target, "done")

    def _kill(self, action: Action) -> int:
        pid = self._pid_of(action.target)
        strike(pid, signal.SIGKILL, parent=self._system.supervisor.pid)
        if action.target == POSTGRES:
            self.postgres_killed_at.append(self._now())
        return pid

    def _kill_child(self, action: Action) -> int:
        parent = self._pid_of(action.target)
        if not (children := children_of(parent)):
            raise NotThere
        pid = self._dice.choice(children)
        strike(pid, signal.SIGKILL, parent=parent)
        return pid

    def _freeze(self, action: Action) -> int:
        pid = self._pid_of(action.target)
        strike(pid, signal.SIGSTOP, parent=self._system.supervisor.pid)
        self._frozen[action.target] = pid
        return pid

    def _thaw(self, target: str) -> None:
        pid = self._frozen.pop(target, None)
        if pid is not None:
            try:
                strike(pid, signal.SIGCONT, parent=self._system.supervisor.pid)
            except NotThere:
                self._write("thaw", target, "killed meanwhile")

    def _kill_backend(self, _: Action) -> int:
        with self._database() as connection:
            pid = self._some_backend(connection)
        strike(pid, signal.SIGKILL, parent=self._pid_of(POSTGRES))
        self.postgres_killed_at.append(self._now())
        return pid

    def _end_backend(self, _: Action) -> int:
        with self._database() as connection:
            pid = self._some_backend(connection)
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        return pid

    def _some_backend(self, connection: psycopg.Connection) -> int:
        found = [int(pid) for (pid,) in connection.execute(_BACKENDS)]
        if not found:
            raise NotThere
        return self._dice.choice(found)

    def _flush(self, _: Action) -> None:
        url = self._system.settings["REDIS_URL"]
        with redis.Redis.from_url(url, socket_timeout=CONNECT_SECONDS) as broker:
            broker.flushall()

    def _disturb(self, action: Action) -> None:
        if action.behaviour is not None:
            self._proxies.behave(action.target, action.behaviour)

    def _database(self) -> psycopg.Connection:
        url = self._system.settings["DATABASE_URL"]
        return psycopg.connect(url, connect_timeout=CONNECT_SECONDS)

    def _pid_of(self, program: str) -> int:
        pid = self._system.pids().get(program)
        if pid is None:
            raise NotThere
        return pid

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _write(self, deed: str, target: str, result: str, **facts: Any) -> None:
        line = {"at": round(self._now(), 3), "deed": deed, "target": target, "result": result}
        self._log.write(json.dumps({**line, **facts}) + "\n")
        self._log.flush()


def label_of(action: Action) -> str:
    """Name what is counted together."""
    if action.behaviour is not None:
        return f"{action.target}: {action.behaviour.mode}"
    return f"{action.deed} {action.target}"
