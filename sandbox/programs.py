"""The programs of the all-in-one run: embedded servers and the Procfile's processes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from sandbox.outside_service.services import program_of, service_of
from sandbox.ports import LOOPBACK
from sandbox.procfile import declared
from sandbox.run_directory import RunDirectory
from sandbox.supervision import Program

# Groups in the order in which they start. They stop in reverse order, one group after the other:
# first the processes that take new work, then the workers, last the servers.
POSTGRES: Final = "postgres"
VALKEY: Final = "valkey"
STRIPE: Final = "stripe"
SERVICES: Final = "services"
WORKERS: Final = "workers"
FRONT: Final = "front"

WEB: Final = "web"
DESK: Final = "desk"

REPLACED_BY: Final = {"DATABASE_URL": POSTGRES, "REDIS_URL": VALKEY, "STRIPE_API_KEY": STRIPE}

_NAMES: Final = {POSTGRES: "PostgreSQL", VALKEY: "Valkey", STRIPE: "Stripe"}

APPLICATION_STOP_SECONDS: Final = 20
"""Longer than web, desk and workers take to finish their work."""


class Layout(NamedTuple):
    """How a run differs from `make up`: more ports, and changed or additional programs."""

    ports: tuple[str, ...] = ()
    """Names of additional ports; ``arrange`` gets their numbers."""

    arrange: Callable[[list[Program], Mapping[str, int], Mapping[str, str]], list[Program]] = (
        lambda programs, _ports, _settings: programs
    )
    """Gets the programs of `make up`, all ports and the settings; returns the programs to run."""


ORDINARY: Final = Layout()


def programs(
    directory: RunDirectory,
    ports: dict[str, int],
    *,
    external: frozenset[str],
    left_out: frozenset[str] = frozenset(),
    services: Sequence[str] = (),
) -> list[Program]:
    """Return all programs of a run, without the servers in ``external``, which run elsewhere.

    ``left_out`` are processes of the Procfile that this run does not start. ``services`` are the
    outside services that it starts besides Stripe's sandbox.
    """
    servers = [program for program in _servers(directory, ports) if program.name not in external]
    servers += [_service(name, directory, ports) for name in services]
    names = [name for name in declared() if name not in left_out]
    workers = [name for name in names if name.startswith("worker-")]
    front = [name for name in names if name not in workers]
    return [
        *servers,
        *(_application(name, WORKERS, ports) for name in workers),
        *(_application(name, FRONT, ports) for name in front),
    ]


def _servers(directory: RunDirectory, ports: dict[str, int]) -> list[Program]:
    folder = directory.relative
    stripe = (
        f"python -m sandbox.process_lifetime SIGTERM python -m sandbox.stripe_api --port {ports[STRIPE]} "
        f"--ledger {folder}/stripe/ledger.jsonl --port-file {folder}/stripe/port"
    )
    return [
        Program(
            POSTGRES,
            POSTGRES,
            f"python -m sandbox.postgres --data {folder}/postgres --port {ports[POSTGRES]}",
            stop_signal="INT",  # with TERM it would wait for its clients
        ),
        Program(VALKEY, VALKEY, f"python -m sandbox.valkey --port {ports[VALKEY]}"),
        Program(STRIPE, STRIPE, stripe),
    ]


def _service(name: str, directory: RunDirectory, ports: Mapping[str, int]) -> Program:
    program = program_of(name)
    return Program(
        program,
        SERVICES,
        f"python -m sandbox.process_lifetime SIGTERM python -m sandbox.outside_service {name} "
        f"--port {ports[program]} --port-file {directory.relative}/stripe/{name}-port",
    )


def _application(name: str, group: str, ports: Mapping[str, int]) -> Program:
    environment = {}
    if name in (WEB, DESK):
        environment["GUNICORN_CMD_ARGS"] = f"--bind={LOOPBACK}:{ports[name]}"
    return Program(
        name,
        group,
        f"python -m sandbox.procfile {name}",
        stop_seconds=APPLICATION_STOP_SECONDS,
        waits_for_start=True,
        environment=environment,
    )


def display_name(name: str) -> str:
    """Return the name that people see: a worker has its queue's name, a server its product's."""
    if service := service_of(name):
        return f"{service} (sandbox)"
    worker, is_worker, queue = name.partition("worker-")
    return f"{queue} worker" if is_worker else _NAMES.get(worker, worker)
