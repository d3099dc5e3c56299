"""Refuses definitions that could not end, or that do not describe themselves."""

import json
from datetime import timedelta
from typing import Final

from sagas.batch import Output
from sagas.descriptions import WaitText, rejection_problem, text_problem, wait_problem
from sagas.errors import DefinitionError
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
    Work,
)

LONGEST_BACK_OFF: Final = timedelta(hours=1)

MAX_CODE_LENGTH: Final = 64
"""The maximum length of a rejection code: that of the column ``SagaRun.reason``."""


def may_give_up(work: Remote) -> bool:
    return work.retry.max_attempts is not None and not isinstance(work.when_spent, Proceed)


def check_description(name: str, work: Work) -> None:
    """Raise DefinitionError if the description of a step or a compensation is incomplete."""
    is_remote = isinstance(work, Remote)
    if problem := text_problem(work.describe, is_remote=is_remote):
        raise DefinitionError(f"{name} {problem}")
    for code, text in work.rejections.items():
        if not code or len(code) > MAX_CODE_LENGTH:
            raise DefinitionError(
                f"{name}: {code!r} is not a code of 1 to {MAX_CODE_LENGTH} characters"
            )
        if problem := rejection_problem(code, text):
            raise DefinitionError(f"{name} {problem}")
    match work:
        case Remote():
            _check_call(name, work)
        case Wait():
            _check_wait(name, work.waits_for, work.deadline, work.overdue, work.rejections)


def _check_wait(
    name: str, text: WaitText, deadline: Deadline, overdue: Overdue, rejections: Rejections
) -> None:
    """Raise DefinitionError for a wait that could not end, or cannot say what it waits for."""
    if problem := wait_problem(text):
        raise DefinitionError(f"{name} {problem}")
    if not (callable(deadline) or (deadline and deadline > timedelta())):
        raise DefinitionError(f"{name} needs a deadline")
    match overdue:
        case Reject(code) if code not in rejections:
            raise DefinitionError(
                f"{name} does not declare {code}, its rejection past the deadline"
            )
        case Escalate(extend_by) if extend_by <= timedelta():
            raise DefinitionError(f"{name} needs a longer deadline after it was escalated")
        case Proceed(output):
            _check_output(name, output)


def _check_output(name: str, output: Output) -> None:
    try:
        json.dumps(output)
    except (TypeError, ValueError):
        raise DefinitionError(f"{name} cannot proceed: its output is not JSON") from None


def _check_call(name: str, work: Remote) -> None:
    if not work.system:
        raise DefinitionError(f"{name} needs the name of the system that it calls")
    for pending in work.pending:
        _check_wait(name, pending.waits_for, pending.deadline, pending.overdue, work.rejections)
    if len(work.pending_by_code) < len(work.pending):
        raise DefinitionError(f"{name}: two pending errors have the same code")
    may_be_overdue = any(isinstance(pending.overdue, Reject) for pending in work.pending)
    if bool(work.rejected_by or may_be_overdue) != bool(work.rejections):
        raise DefinitionError(f"{name} needs rejected_by and rejections, or neither")
    for error in work.rejected_by:
        code = getattr(error, "code", None)
        if isinstance(code, str) and code not in work.rejections:
            raise DefinitionError(f"{name} does not declare {code}, the code of {error.__name__}")
    if work.retry.max_delay > LONGEST_BACK_OFF:
        raise DefinitionError(f"{name}: a back-off lasts an hour at most")
    _check_spent(name, work)


def _check_spent(name: str, work: Remote) -> None:
    is_limited = work.retry.max_attempts is not None
    if is_limited != (work.when_spent is not None):
        raise DefinitionError(f"{name} needs a limit of retries and when_spent, or neither")
    match work.when_spent:
        case Compensate(text):
            if problem := rejection_problem(f"{name}_unanswered", text):
                raise DefinitionError(f"{name} {problem}")
        case Proceed(output):
            _check_output(name, output)
