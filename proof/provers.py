"""Provers: processes that play runs. Each has its own world; all share one PostgreSQL server."""

import importlib
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from proof.jobs import Job, Result
from proof.tokens import Tokens
from sandbox import postgres, valkey
from sandbox.embedded_servers import start_postgres, start_valkey
from sandbox.environment import placeholders, without_addresses
from sandbox.outside_service.process import OutsideServiceProcess
from sandbox.outside_service.services import SERVICES, setting_of
from sandbox.process_lifetime import ask_kernel_for_death_signal
from sandbox.stripe_process import SandboxServer

if TYPE_CHECKING:
    from proof.world import World

TEMPLATE = "proof_template"


class Provers:
    """A pool of prover processes. ``running_provers`` creates it."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def play(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        """Play all jobs, and yield results in the order in which they are ready.

        Closing the iterator cancels the jobs that have not begun.
        """
        waiting: dict[Future[Result], Job] = {self._pool.submit(_play, job): job for job in jobs}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def running_provers(count: int) -> Iterator[Provers]:
    """Start PostgreSQL and ``count`` provers; stop them all when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-proof-"))
    folder.chmod(0o711)  # PostgreSQL may run under another account
    server = None
    try:
        server = start_postgres(folder)
        url = postgres.database_url(folder / "postgres", server.port)
        with _pool(1, _make_template, url) as maker:
            tokens = maker.submit(_tokens).result()
        with _pool(count, _start_prover, folder, url, tokens) as pool:
            try:
                yield Provers(pool)
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _pool(count: int, begin: Callable[..., None], *arguments: object) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        count,
        mp_context=get_context("spawn"),
        initializer=begin,
        initargs=(os.getpid(), *arguments),
    )


# -- in a prover ---------------------------------------------------------------------------------


class _Prover:
    """One prover's world, the tokens of its runs, and the log file of its processes."""

    def __init__(self, world: "World", tokens: Tokens, log: Path) -> None:
        self.world = world
        self.tokens = tokens
        self.log = log


_prover: _Prover
_template_tokens: Tokens


def environment(**addresses: str) -> dict[str, str]:
    """Return the environment variables of a run; ``addresses`` are those of its servers."""
    return {
        **without_addresses(os.environ),
        **placeholders(),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": secrets.token_hex(32),
        "INSTALLATION_ID": "proof",
        "STRIPE_API_KEY": "sk_test_sandbox",
        "STRIPE_CALLS_PER_SECOND": "0",
        "THROTTLING": "0",
        "MAX_OPEN_ORDERS": "0",
        "PAYMENT_GRACE_SECONDS": "0",
        "DEBUG": "0",
        "HTTPS": "0",
        "LOG_LEVEL": "WARNING",
        "ALLOWED_HOSTS": "localhost",
        **addresses,
    }


def _configure(**addresses: str) -> None:
    import django  # noqa: PLC0415 - only once the environment has its settings

    settings = environment(**addresses)
    os.environ.clear()
    os.environ.update(settings)
    django.setup()


def _die_with_parent(owner: int) -> None:
    """Make the kernel kill this prover when its owner ends for any reason."""
    ask_kernel_for_death_signal(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner handles it and stops the provers
    if os.getppid() != owner:
        os._exit(1)


def _make_template(owner: int, server: str) -> None:
    """Create the database that every run starts from: a catalogue, a customer and a shop."""
    _die_with_parent(owner)
    _configure(DATABASE_URL=urlsplit(server)._replace(path=f"/{TEMPLATE}").geturl())
    from io import StringIO  # noqa: PLC0415

    import psycopg  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connections  # noqa: PLC0415

    global _template_tokens  # noqa: PLW0603 - the pool's only job returns it
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {TEMPLATE}")
    call_command("migrate", verbosity=0)
    call_command("load_catalogue", stdout=StringIO())
    _template_tokens = Tokens(
        customer=_new_token("create_customer", username="proof"),
        shop=_new_token(
            "create_token",
            *(f"--scope={scope}" for scope in ("orders:read", "orders:write", "shop")),
            "--create-account",
            username="proof-shop",
            name="proof",
        ),
    )
    connections.close_all()


def _new_token(command: str, *arguments: str, **options: str) -> str:
    import json  # noqa: PLC0415
    from io import StringIO  # noqa: PLC0415

    from django.core.management import call_command  # noqa: PLC0415

    output = StringIO()
    call_command(command, *arguments, **options, stdout=output)
    return str(json.loads(output.getvalue())["token"])


def _tokens() -> Tokens:
    return _template_tokens


def _start_prover(owner: int, folders: Path, server: str, tokens: Tokens) -> None:
    """Set this process up as a prover: start its services and broker, load what a run needs."""
    _die_with_parent(owner)
    folder = Path(tempfile.mkdtemp(prefix="prover-", dir=folders))
    stripe, broker = SandboxServer(folder), start_valkey(folder)
    services = [OutsideServiceProcess(service, folder) for service in SERVICES]
    name = f"proof_{os.getpid()}"
    database = urlsplit(server)._replace(path=f"/{name}").geturl()
    _configure(
        DATABASE_URL=database,
        REDIS_URL=valkey.redis_url(broker.port),
        STRIPE_API_BASE=stripe.url,
        REDIS_KEY_PREFIX="proof:",
        **{setting_of(service.name): service.url for service in services},
    )
    from proof import actors, processes, run  # noqa: F401, PLC0415
    from proof.warm_up import warm_up  # noqa: PLC0415
    from proof.world import Addresses, World  # noqa: PLC0415

    actors.preload()
    global _prover  # noqa: PLW0603 - one per process
    addresses = Addresses(database, TEMPLATE, valkey.redis_url(broker.port), "proof:")
    world = World(addresses, actors.QUEUES, stripe, services)
    warm_up(world, tokens)
    _prover = _Prover(world, tokens, folder / "log")
    processes.keep_warm()


def _play(job: Job) -> Result:
    from proof.run import Run  # noqa: PLC0415
    from proof.scenarios import SCENARIOS  # noqa: PLC0415

    scenario = next(scenario for scenario in SCENARIOS if scenario.name == job.scenario)
    prepare = _bug_named(job.bug) if job.bug else None
    with _prover.log.open("w+") as log:
        return Run(
            _prover.world,
            scenario,
            _prover.tokens,
            log,
            fault=job.fault,
            prepare=prepare,
            max_rounds=job.max_rounds,
        ).play()


def _bug_named(name: str) -> Callable[[], None]:
    from proof.seeded_bugs.registry import BUGS  # noqa: PLC0415

    if name in BUGS:
        return BUGS[name]
    module, _, function = name.partition(":")
    found: Callable[[], None] = getattr(importlib.import_module(module), function)
    return found
