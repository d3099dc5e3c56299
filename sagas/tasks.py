"""The Celery tasks of the engine: one for each link of each saga, and the sweep."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from celery import shared_task
from django.db import InterfaceError, OperationalError
from kombu.exceptions import OperationalError as BrokerError
from structlog.contextvars import bind_contextvars

from sagas import registry
from sagas.definition import Link, Saga
from sagas.messages import Continue, RetryAfter
from sagas.runner import Runner
from sagas.sweep import SweepSource, sweep

if TYPE_CHECKING:
    from celery import Task

log = logging.getLogger(__name__)

LONGEST_COUNTDOWN = timedelta(minutes=1)
"""Redis delivers a message twice when its countdown outlasts the visibility timeout (5 min).
Longer waits are left to the sweep."""

UNREACHABLE = (OperationalError, InterfaceError, BrokerError)
"""Errors of an unreachable database or broker. They are no bugs: the sweep queues the run again."""


def _declare(saga: Saga, link: Link) -> None:
    """Register a link as a task. Its name shows the steps in Flower and in routing."""
    runner = Runner(saga, link)

    @shared_task(name=link.name, bind=True, max_retries=None, throws=UNREACHABLE)
    def advance(self: "Task[[list[str]], None]", run_ids: list[str]) -> None:
        if len(run_ids) == 1:  # log lines about an error that ends this task name the run
            bind_contextvars(run_id=run_ids[0])
        try:
            next_actions = runner.advance_all([UUID(run_id) for run_id in run_ids])
        except UNREACHABLE:
            log.warning("advance.interrupted", exc_info=True)
            raise
        for run_id, next_action in zip(run_ids, next_actions, strict=True):
            if isinstance(next_action, RetryAfter) and next_action.after <= LONGEST_COUNTDOWN:
                # Only a hint: the journal has the time, and the sweep follows it.
                self.retry(
                    args=([run_id],), countdown=next_action.after.total_seconds(), throw=False
                )
        if not any(isinstance(next_action, Continue) for next_action in next_actions):
            # The rest of the chain has nothing to do. (After Ignore, the task would appear to run
            # without end.)
            self.request.chain = None


for _saga in registry.all_sagas():
    for _link in (*_saga.links, _saga.compensation_link):
        _declare(_saga, _link)


@shared_task(name="sagas.sweep", ignore_result=True)
def sweep_runs() -> None:
    """Queue every live run whose time to wake has passed; see ``sagas.sweep``."""
    sweep(SweepSource.BEAT)
