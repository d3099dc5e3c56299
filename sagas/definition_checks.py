"""What is wrong with a saga: runs that could not end, or steps that do not describe themselves."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from sagas.batch import Output
from sagas.descriptions import (
    WaitText,
    failure_problem,
    rejection_problem,
    text_problem,
    wait_problem,
)
from sagas.work import (
    Compensate,
    Deadline,
    Escalate,
    Overdue,
    Proceed,
    Reject,
    Rejections,
    Remote,
    Wait,
    WhenSpent,
    Work,
)

LONGEST_BACK_OFF: Final = timedelta(hours=1)

MAX_CODE_LENGTH: Final = 64
"""The maximum length of a rejection code: that of the column ``SagaRun.reason``."""


def compensation_problems(name: str, work: Work | None) -> Iterator[str]:
    """Yield why a run might never end once it compensates; ``work`` is a compensation."""
    if not isinstance(work, Remote):
        return
    if not all(isinstance(pending.overdue, Escalate) for pending in work.pending):
        yield f"{name}: past its deadline it can only escalate"
    if work.rejected_by:
        yield f"{name}: a compensation cannot be rejected"
    if work.retry.max_attempts is not None:
        yield f"{name}: a compensation must retry without limit"


def problems_without_compensation(name: str, work: Work) -> Iterator[str]:
    """Yield why a run could not go on from a step at which it can no longer compensate."""
    if work.rejections:
        yield f"{name} may reject, but it or an earlier step has no compensation"
    if not isinstance(work, Remote) or isinstance(work.when_spent, Proceed):
        return
    if work.retry.max_attempts is not None:
        yield f"{name} cannot compensate: retry without limit, or proceed"


def work_problems(name: str, work: Work) -> Iterator[str]:
    """Yield what is incomplete in a step's action or compensation."""
    if problem := text_problem(work.describe, is_remote=isinstance(work, Remote)):
        yield f"{name} {problem}"
    for code, text in work.rejections.items():
        if not code or len(code) > MAX_CODE_LENGTH:
            yield f"{name}: {code!r} is not a code of 1 to {MAX_CODE_LENGTH} characters"
        if problem := rejection_problem(code, text):
            yield f"{name} {problem}"
    match work:
        case Remote():
            yield from _call_problems(name, work)
        case Wait():
            given = (work.waits_for, work.deadline, work.overdue, work.rejections)
            yield from _wait_problems(name, *given)


def _wait_problems(
    name: str, text: WaitText, deadline: Deadline, overdue: Overdue, rejections: Rejections
) -> Iterator[str]:
    """Yield why a wait could not end, or does not say what it waits for."""
    if problem := wait_problem(text):
        yield f"{name} {problem}"
    if not (callable(deadline) or (deadline and deadline > timedelta())):
        yield f"{name} needs a deadline"
    match overdue:
        case Reject(code) if code not in rejections:
            yield f"{name} does not declare {code}, its rejection past the deadline"
        case Escalate(extend_by) if extend_by <= timedelta():
            yield f"{name} needs a longer deadline after it was escalated"
        case Proceed(output) if not _is_json(output):
            yield f"{name} cannot proceed: its output is not JSON"


def _call_problems(name: str, work: Remote) -> Iterator[str]:
    if not work.system:
        yield f"{name} needs the name of the system that it calls"
    for pending in work.pending:
        given = (pending.waits_for, pending.deadline, pending.overdue, work.rejections)
        yield from _wait_problems(name, *given)
    if len(work.pending_by_code) < len(work.pending):
        yield f"{name}: two pending errors have the same code"
    may_be_overdue = any(isinstance(pending.overdue, Reject) for pending in work.pending)
    if bool(work.rejected_by or may_be_overdue) != bool(work.rejections):
        yield f"{name} needs rejected_by and rejections, or neither"
    for error in work.rejected_by:
        code = getattr(error, "code", None)
        if isinstance(code, str) and code not in work.rejections:
            yield f"{name} does not declare {code}, the code of {error.__name__}"
    yield from _failure_problems(name, work)
    if work.retry.max_delay > LONGEST_BACK_OFF:
        yield f"{name}: a back-off lasts an hour at most"
    if (work.retry.max_attempts is None) != (work.when_spent is None):
        yield f"{name} needs a limit of retries and when_spent, or neither"
    yield from _spent_problems(name, work.when_spent)


def _failure_problems(name: str, work: Remote) -> Iterator[str]:
    if len(work.failure_texts) < len(work.failures):
        yield f"{name}: two failures have the same code"
    for code, text in work.failure_texts.items():
        if problem := failure_problem(code, text):
            yield f"{name} {problem}"


def _spent_problems(name: str, when_spent: WhenSpent | None) -> Iterator[str]:
    match when_spent:
        case Compensate(text) if problem := rejection_problem(f"{name}_unanswered", text):
            yield f"{name} {problem}"
        case Proceed(output) if not _is_json(output):
            yield f"{name} cannot proceed: its output is not JSON"


def _is_json(output: Output) -> bool:
    try:
        json.dumps(output)
    except (TypeError, ValueError):
        return False
    return True
