"""The state that decides what a run does next, and how it changes wherever the run is."""

from datetime import datetime
from typing import Final, NamedTuple

from sagas.batch import Output
from sagas.descriptions import WaitText
from sagas.models import LIVE, Outcome, RunStatus
from sagas.retry_policy import RetryPolicy
from sagas.work import Escalate, Remote, Work

ATTENTION_AFTER_TRIES: Final = 8
"""After this many attempts without an answer the run is flagged: one or two minutes of back-off."""

LOCAL_RETRY: Final = RetryPolicy()
"""How a local step is retried after it raised."""

PAST_DEADLINE: Final = "Past its deadline, it still waits"
"""The beginning of the reason of a flag."""


class StepProgress(NamedTuple):
    """How far the attempts at a step are, or at its compensation."""

    step: str
    number: int = 0
    tries: int = 0
    not_before: datetime | None = None
    waits_for: str = ""
    first_at: datetime | None = None  # when its first attempt started


class Moment(NamedTuple):
    """When a phase decides, by the database's clock, and its random number below 1."""

    at: datetime
    jitter: float


class Answer(NamedTuple):
    """How an attempt ended, before the step's definition decides what that means."""

    outcome: Outcome
    error: str = ""
    detail: str = ""
    until: datetime | None = None  # the deadline that a pending call brings along


class StepHistory(NamedTuple):
    """The last attempt at a step, and at its compensation, as the journal has them."""

    outcome: str
    compensation_outcome: str = ""  # empty without an attempt
    error: str = ""  # of the last attempt at the compensation, as all that follows
    number: int = 0
    tries: int = 0
    not_before: datetime | None = None
    first_at: datetime | None = None


class RunState(NamedTuple):
    """What decides what a run does next. The fields are those of ``SagaRun``."""

    status: RunStatus = RunStatus.RUNNING
    step: str = ""
    attempt_count: int = 0
    retry_count: int = 0
    tries: int = 0
    leased_until: datetime | None = None
    not_before: datetime | None = None
    nudge_count: int = 0
    nudges_seen: int = 0
    waits_for: str = ""
    waiting_since: datetime | None = None
    waiting_until: datetime | None = None
    waiting_then: str = ""
    escalations: int = 0
    is_compensation_requested: bool = False
    is_paused: bool = False
    redispatch_count: int = 0
    needs_attention: bool = False
    attention_reason: str = ""
    reason: str = ""
    reason_detail: str = ""
    compensations: tuple[StepProgress, ...] = ()  # last step first; loaded when it compensates

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    def is_leased(self, at: datetime) -> bool:
        """Return whether a worker may be in the middle of a call."""
        return self.leased_until is not None and self.leased_until > at


class Settled(NamedTuple):
    """A run after an attempt: what the journal says of it, and what the run does then."""

    state: RunState
    outcome: Outcome
    output: Output | None = None  # to use instead of the call's own

    @property
    def has_passed(self) -> bool:
        """Whether the step has a result, which it records."""
        return self.outcome in (Outcome.DONE, Outcome.PROCEEDED)


def retry_of(work: Work | None) -> RetryPolicy:
    """Return how ``work`` is retried."""
    return work.retry if isinstance(work, Remote) else LOCAL_RETRY


def is_over(moment: datetime | None, at: datetime) -> bool:
    return moment is None or moment <= at


def as_remote(work: Work | None) -> Remote:
    assert isinstance(work, Remote), work  # noqa: S101 - only a call has these outcomes
    return work


def at_step(state: RunState, step: str) -> RunState:
    """Move to ``step``, and reset what counts there. Without one the run is no longer paused."""
    state = without_wait(state)._replace(
        step=step, attempt_count=0, retry_count=0, tries=0, is_paused=state.is_paused and bool(step)
    )
    return with_progress(state)


def without_wait(state: RunState) -> RunState:
    ended = state._replace(waits_for="", waiting_since=None, waiting_until=None, waiting_then="")
    return ended._replace(not_before=None, escalations=0)


def with_progress(state: RunState) -> RunState:
    """Clear the run's flag; a run that waits past a deadline stays flagged."""
    state = state._replace(redispatch_count=0)
    if state.is_paused or (state.waits_for and state.escalations):
        return state
    return state._replace(needs_attention=False, attention_reason="")


def escalated(state: RunState, policy: Escalate, text: WaitText, at: datetime) -> RunState:
    """Flag a run whose wait is past its deadline, and let it wait until a later one."""
    until, times = at + policy.extend_by, state.escalations + 1
    state = state._replace(waiting_until=until, escalations=times)
    return flagged(state, f"{PAST_DEADLINE} for {text.staff}. {policy.to_do}")


def flagged(state: RunState, reason: str) -> RunState:
    state = state._replace(needs_attention=True)
    return state if state.is_paused else state._replace(attention_reason=reason)


def why_staff_are_called(work: Work | None, name: str, tries: int, last: Answer) -> str:
    """Return the reason of a flag: after some attempts, or at once for a declared failure; or empty."""
    if isinstance(work, Remote) and last.error in work.failure_texts:
        text = work.failure_texts[last.error]
        return f"{text.happened} {text.remedy}"
    if tries >= ATTENTION_AFTER_TRIES or retry_of(work).is_spent(tries):
        return f"{name}: {tries} attempts, last {last.outcome} {last.error}"
    return ""
