"""Celery's side of the engine. Tasks decide nothing: they name a run, and report what it said."""

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
"""Redis hands a message out twice when its countdown outlasts the visibility timeout (5 min).
What waits longer is left to the sweep."""

OUT_OF_REACH = (OperationalError, InterfaceError, BrokerError)
"""What may be away for a while. It is no bug, and the sweep comes back: Celery need not report it."""


def _declare(saga: Saga, link: Link) -> None:
    """Make one task of a link, named after its steps, so that Flower and routing see them."""
    runner = Runner(saga, link)

    @shared_task(name=link.name, bind=True, max_retries=None, throws=OUT_OF_REACH)
    def advance(self: "Task[[list[str]], None]", run_ids: list[str]) -> None:
        if len(run_ids) == 1:  # what is said of an error that ends this task names it, too
            bind_contextvars(run_id=run_ids[0])
        try:
            next_actions = runner.advance_all([UUID(each) for each in run_ids])
        except OUT_OF_REACH:
            log.warning("advance.interrupted", exc_info=True)
            raise
        for run_id, next_action in zip(run_ids, next_actions, strict=True):
            if isinstance(next_action, RetryAfter) and next_action.after <= LONGEST_COUNTDOWN:
                # A hint only: the journal says when, and the sweep keeps to it.
                self.retry(
                    args=([run_id],), countdown=next_action.after.total_seconds(), throw=False
                )
        if not any(isinstance(each, Continue) for each in next_actions):
            # The rest of the chain has nothing to do. (Not Ignore: the task would look as if it
            # ran for ever.)
            self.request.chain = None


for _saga in registry.all_sagas():
    for _link in (*_saga.links, _saga.compensation_link):
        _declare(_saga, _link)


@shared_task(name="sagas.sweep", ignore_result=True)
def sweep_runs() -> None:
    """Queue every live run whose time to wake has passed."""
    sweep(SweepSource.BEAT)
