"""What the journal's rows mean: which undos are still owed."""

from collections.abc import Iterable, Sequence

from sagas.definition import Remote, Saga, Step
from sagas.models import Direction, Outcome, StepRecord


def owed_undos(saga: Saga, records: Sequence[StepRecord]) -> dict[Step, StepRecord | None]:
    """Return the steps of one run that must still be undone, last step first.

    Each comes with the latest attempt at its undo, if there was one. ``records`` are all rows of
    the run, oldest first.
    """
    owed: dict[Step, StepRecord | None] = {}
    for step in reversed(saga.steps):
        if step.undo is None:
            continue
        own = [each for each in records if each.step == step.name]
        undos = [each for each in own if each.direction == Direction.BACK]
        if any(each.outcome == Outcome.DONE for each in undos):
            continue
        if _left_something_behind(step, (each for each in own if each not in undos)):
            owed[step] = undos[-1] if undos else None
    return owed


def _left_something_behind(step: Step, attempts: Iterable[StepRecord]) -> bool:
    """Whether an effect of ``step`` may exist.

    A remote step that was only started, or that was refused, counts too: its answer may have been
    lost, and a declined PaymentIntent can still be paid until it is cancelled.
    """
    if isinstance(step.action, Remote):
        return any(True for _ in attempts)
    return any(each.outcome == Outcome.DONE for each in attempts)
