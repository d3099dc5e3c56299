"""Log lines and counters about what a phase did, once it has committed.

An attempt has a line only if its outcome is not *done*; each run has one line at its end. The journal
has the rest.
"""

import logging
from collections.abc import Iterable, Sequence

from sagas.definition import Link, Saga
from sagas.metrics import ATTEMPTS, RETRIES, RUNS_ENDED
from sagas.models import Outcome, SagaRun, StepAttempt
from sagas.run_context import RunContext

log = logging.getLogger(__name__)


def report(
    saga: Saga,
    link: Link,
    contexts: Iterable[RunContext],
    *,
    started: Sequence[StepAttempt],
    settled: Sequence[StepAttempt],
) -> None:
    """Count and log the outcomes of the attempts, and the runs that have ended in this phase."""
    runs = {context.run.pk: context.run for context in contexts}
    for attempt in started:
        if attempt.tries > 1:
            RETRIES.labels(saga.name, link.name_of(saga.step(attempt.step))).inc()
    for attempt in (*started, *settled):
        if attempt.outcome == Outcome.STARTED:
            continue
        name = link.name_of(saga.step(attempt.step))
        ATTEMPTS.labels(saga.name, name, attempt.outcome).inc()
        if attempt.outcome != Outcome.DONE:
            _log_attempt(runs[attempt.run_id], name, attempt)
    for context in contexts:
        if context.has_changed and not context.run.is_live:
            RUNS_ENDED.labels(saga.name, context.run.status).inc()
            _log_end(context.run)


def _log_attempt(run: SagaRun, name: str, attempt: StepAttempt) -> None:
    """Log an attempt. Error details stay in the journal: they may name people or cards."""
    log.info(
        "attempt.ended",
        extra={
            **_ids(run),
            "step": name,
            "attempt": attempt.number,
            "outcome": str(attempt.outcome),
            "error": attempt.error,
        },
    )


def _log_end(run: SagaRun) -> None:
    log.info(
        "run.ended",
        extra={**_ids(run), "outcome": str(run.status), "reason": run.reason or None},
    )


def _ids(run: SagaRun) -> dict[str, object]:
    return {
        "run_id": str(run.pk),
        "subject_id": str(run.subject_id),
        "correlation_id": str(run.correlation_id),
        "saga": run.saga,
    }
