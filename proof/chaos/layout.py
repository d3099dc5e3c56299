"""How a chaos run is laid out: proxies on every edge, a second beat, a worker that forks."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from proof.chaos.plan import PREFORK, SECOND_BEAT
from proof.chaos.proxies import (
    CONTROL,
    EDGES,
    WEB_POSTGRES,
    WEB_VALKEY,
    WORKERS_BANK,
    WORKERS_POSTGRES,
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
    "STRIPE_API_BASE": WORKERS_BANK,
}


def chaos_layout(*, seed: int, bug: str | None) -> Layout:
    """Lay a run out; with ``bug`` web and workers have that seeded bug in them."""

    def arrange(
        programs: list[Program], ports: Mapping[str, int], settings: Mapping[str, str]
    ) -> list[Program]:
        proxy = Program(PROXY, PROXY, _proxy_command(ports, seed))
        second_beat = next(each for each in programs if each.name == "beat")._replace(
            name=SECOND_BEAT
        )
        prefork = Program(
            PREFORK,
            WORKERS,
            f"{OWNED} -m {PREFORK_WORKER}",
            stop_seconds=20,
            waits_for_start=True,
        )
        everything = [proxy, *programs, prefork, second_beat]
        return [_through_proxies(_seeded(each, seed, bug), ports, settings) for each in everything]

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


def _through_proxies(
    program: Program, ports: Mapping[str, int], settings: Mapping[str, str]
) -> Program:
    if program.group not in (WORKERS, FRONT):
        return program
    edges = WEB_EDGES if program.name in (WEB, DESK) else WORKER_EDGES
    proxied = {name: _by_way_of(edge, settings[name], ports) for name, edge in edges.items()}
    return program._replace(environment={**program.environment, **proxied})


def _by_way_of(edge: Edge, url: str, ports: Mapping[str, int]) -> str:
    parts = urlsplit(url)
    place = parts.netloc.removesuffix(f":{ports[edge.server]}")
    return parts._replace(netloc=f"{place}:{ports[edge.name]}").geturl()
