"""The programs of a chaos run: a proxy on every edge, a second beat, and a prefork worker."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from proof.chaos.plan import PREFORK, SECOND_BEAT
from proof.chaos.proxy_control import (
    CONTROL,
    EDGES,
    WEB_POSTGRES,
    WEB_VALKEY,
    WORKERS_POSTGRES,
    WORKERS_STRIPE,
    WORKERS_VALKEY,
    Edge,
)
from sandbox.procfile import declared
from sandbox.programs import DESK, FRONT, STRIPE, WEB, WORKERS, Layout
from sandbox.supervision import Program

PROXY: Final = "proxy"
OWNED: Final = "python -m sandbox.process_lifetime SIGKILL python"
PREFORK_WORKER: Final = (
    "celery -A config worker -Q checkout,settlement,compensation -n prefork@%h --pool prefork "
    "--concurrency 2 --without-gossip --without-mingle"
)

WEB_EDGES: Final = {"DATABASE_URL": WEB_POSTGRES, "REDIS_URL": WEB_VALKEY}
WORKER_EDGES: Final = {
    "DATABASE_URL": WORKERS_POSTGRES,
    "REDIS_URL": WORKERS_VALKEY,
    "STRIPE_API_BASE": WORKERS_STRIPE,
}


def chaos_layout(*, seed: int, bug: str | None) -> Layout:
    """Return the layout of a run; with ``bug``, web and workers run with that seeded bug."""

    def arrange(
        programs: list[Program], ports: Mapping[str, int], settings: Mapping[str, str]
    ) -> list[Program]:
        proxy = Program(PROXY, PROXY, _proxy_command(ports, seed))
        beat = next(program for program in programs if program.name == "beat")
        second_beat = beat._replace(name=SECOND_BEAT)
        prefork = Program(
            PREFORK,
            WORKERS,
            f"{OWNED} -m {PREFORK_WORKER}",
            stop_seconds=20,
            waits_for_start=True,
        )
        arranged = [proxy, *programs, prefork, second_beat]
        return [
            _through_proxy(_seeded(program, seed, bug), ports, settings) for program in arranged
        ]

    return Layout(ports=(CONTROL, *(edge.name for edge in EDGES)), arrange=arrange)


def _proxy_command(ports: Mapping[str, int], seed: int) -> str:
    routes = " ".join(f"{edge.name}={ports[edge.name]}:{ports[edge.server]}" for edge in EDGES)
    return (
        f"python -m sandbox.process_lifetime SIGTERM python -m proof.chaos.fault_proxy "
        f"--control {ports[CONTROL]} --seed {seed} {routes}"
    )


def _seeded(program: Program, seed: int, bug: str | None) -> Program:
    if program.name == STRIPE:
        return program._replace(command=f"{program.command} --seed {seed}")
    if bug is None or (program.group != WORKERS and program.name != WEB):
        return program
    line = PREFORK_WORKER if program.name == PREFORK else declared()[program.name]
    return program._replace(command=f"{OWNED} -m proof.seeded_bugs {bug} -- -m {line}")


def _through_proxy(
    program: Program, ports: Mapping[str, int], settings: Mapping[str, str]
) -> Program:
    if program.group not in (WORKERS, FRONT):
        return program
    edges = WEB_EDGES if program.name in (WEB, DESK) else WORKER_EDGES
    proxied = {name: _proxied_url(edge, settings[name], ports) for name, edge in edges.items()}
    return program._replace(environment={**program.environment, **proxied})


def _proxied_url(edge: Edge, url: str, ports: Mapping[str, int]) -> str:
    parts = urlsplit(url)
    host = parts.netloc.removesuffix(f":{ports[edge.server]}")
    return parts._replace(netloc=f"{host}:{ports[edge.name]}").geturl()
