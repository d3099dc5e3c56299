"""Runs that a run has started for subjects of their own: waiting for them, and calling them back."""

from collections import Counter
from collections.abc import Mapping
from uuid import UUID

from sagas.batch import Batch, Output, Rejection
from sagas.errors import ChildrenRunning
from sagas.models import LIVE, SagaRun
from sagas.services import request_compensation
from sagas.work import Attempt


def live_children(batch: Batch) -> Mapping[UUID, int]:
    """Return how many children of each subject's run have not ended; 0 for a run without any.

    For the condition of a wait: the last child to end nudges its parent in its own transaction.
    """
    subjects = {run.run_id: subject_id for subject_id, run in batch.runs.items()}
    live = SagaRun.objects.filter(parent__in=list(subjects), status__in=LIVE)
    parents = live.values_list("parent", flat=True)
    return Counter(subjects[parent_id] for parent_id in parents if parent_id is not None)


def compensate_children(attempt: Attempt, reason: Rejection, actor: str = "") -> Output:
    """Request that the run's live children compensate, and wait until all of them have ended.

    For the remote compensation of the step that started them, with ChildrenRunning as a pending call.
    Each request has a transaction of its own, so that no child's row is locked with its parent's.
    Repeating changes nothing. A child that can no longer compensate is waited for as it is. Raises
    ChildrenRunning while a child is live; the last one to end nudges the parent.
    """
    children = SagaRun.objects.filter(parent=attempt.run_id, status__in=LIVE).order_by("pk")
    for subject_id in children.values_list("subject_id", flat=True):
        request_compensation(subject_id, reason, actor)
    left = children.count()
    if left:
        raise ChildrenRunning(left)
    return {}
