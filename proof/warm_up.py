"""Runs the code of an order once in a prover, so that its forks need not do everything first.

A fork inherits loaded classes, compiled patterns, and code that Python has optimised.
"""

import importlib.metadata
import ssl
import threading
from collections import Counter
from functools import cache
from multiprocessing import Pipe
from typing import Any

from kombu.transport import redis as transport

from proof import actors
from proof.boundaries import publishing_without_thread
from proof.fault_injector import FaultInjector
from proof.processes import ProcessWork
from proof.prover_process import application_in_prover
from proof.tokens import Tokens
from proof.world import World

Channel: Any = transport.Channel  # Any, because the method that is replaced here is private

ORDERS = 2
"""Python optimises a function only after several calls."""


class WarmUpFailed(Exception):
    """The order of the warm-up did not end, or its work left a thread behind."""


def warm_up(world: World, tokens: Tokens) -> None:
    """Place an order, pay it, cancel it, sweep and audit, all in this process.

    Raises WarmUpFailed if an order does not end as it must, or if a thread is left.
    """
    _remember_answers()
    _keep_clients()
    for _ in range(ORDERS):
        world.reset()
        with application_in_prover(), publishing_without_thread():
            _play_an_order(tokens)
        if world.rows("SELECT status FROM orders_order") != [("cancelled",)]:
            raise WarmUpFailed(str(world.dump()))
    if threading.active_count() > 1:
        raise WarmUpFailed(f"a fork would lack threads: {threading.enumerate()}")


def _remember_answers() -> None:
    """Make two slow library functions remember their results: libraries ask again for each connection.

    Forks share the context of TLS. It holds no connection, and a prover has no other thread that could
    hold its lock.
    """
    ssl.create_default_context = cache(ssl.create_default_context)  # type: ignore[assignment]  # its arguments can be hashed
    importlib.metadata.version = cache(importlib.metadata.version)


def _keep_clients() -> None:
    """Make a channel of kombu keep its client of Redis. Otherwise it makes one for each command.

    A client has no connection of its own: it takes one from the channel's pool.
    """
    create = Channel._create_client

    def kept_client(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's signature
        pool = self.async_pool if asynchronous else self.pool
        kept = vars(self).setdefault("kept_clients", {})
        if pool not in kept:
            kept[pool] = create(self, asynchronous)
        return kept[pool]

    Channel._create_client = kept_client


def _play_an_order(tokens: Tokens) -> None:
    body = {"items": [{"sku": "TEE-S", "quantity": 1}], "payment_method": "pm_card_visa"}
    (_, order), *_ = _reports(
        actors.request("/api/v1/orders", body, token=tokens.customer, key="warm-up")
    )
    cancel = f"/api/v1/orders/{order['id']}/cancel"
    _reports(actors.worker())
    _reports(actors.request(cancel, {}, token=tokens.customer, key="warm-up-cancel"))
    _reports(actors.sweep(then=actors.QUEUES))
    actors.audit()


def _reports(work: ProcessWork) -> list[tuple[Any, ...]]:
    """Do the work here, without a fault; return what it reported."""
    ours, theirs = Pipe()
    with ours, theirs:
        work(FaultInjector("warm-up", Counter(), None, theirs))
        found = []
        while ours.poll():
            found.append(ours.recv()[1:])
    return found
