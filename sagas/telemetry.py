"""What a phase did, for the log and for the counters, once it has committed.

A line for each attempt that was not simply done, and one for the end of each run: the journal has
the rest, and a path on which all goes well stays quiet.
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
    """Count and tell what became of the attempts, and which of the runs have ended just now."""
    runs = {context.run.pk: context.run for context in contexts}
    for attempt in started:
        if attempt.number > 1:
            RETRIES.labels(saga.name, link.name_of(saga.step(attempt.step))).inc()
    for attempt in (*started, *settled):
        if attempt.outcome == Outcome.STARTED:
            continue
        name = link.name_of(saga.step(attempt.step))
        ATTEMPTS.labels(saga.name, name, attempt.outcome).inc()
        if attempt.outcome != Outcome.DONE:
            _tell_attempt(runs[attempt.run_id], name, attempt)
    for context in contexts:
        if context.has_changed and not context.run.is_live:
            RUNS_ENDED.labels(saga.name, context.run.status).inc()
            _tell_end(context.run)


def _tell_attempt(run: SagaRun, name: str, attempt: StepAttempt) -> None:
    """The details of an error stay in the journal: a bank's words are not for every eye."""
    log.info(
        "attempt.ended",
        extra={
            **_names(run),
            "step": name,
            "attempt": attempt.number,
            "outcome": str(attempt.outcome),
            "error": attempt.error,
        },
    )


def _tell_end(run: SagaRun) -> None:
    log.info(
        "run.ended",
        extra={**_names(run), "outcome": str(run.status), "reason": run.reason or None},
    )


def _names(run: SagaRun) -> dict[str, object]:
    return {
        "run_id": str(run.pk),
        "subject_id": str(run.subject_id),
        "correlation_id": str(run.correlation_id),
        "saga": run.saga,
    }
