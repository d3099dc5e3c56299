"""What a run that has started others asks about them."""

from collections import Counter
from collections.abc import Mapping
from uuid import UUID

from sagas.batch import Batch
from sagas.models import LIVE, SagaRun


def live_children(batch: Batch) -> Mapping[UUID, int]:
    """Return how many children of each subject's run have not ended; 0 for a run without any.

    For the condition of a wait: the last child to end nudges its parent in its own transaction.
    """
    subjects = {run.run_id: subject_id for subject_id, run in batch.runs.items()}
    live = SagaRun.objects.filter(parent__in=list(subjects), status__in=LIVE)
    parents = live.values_list("parent", flat=True)
    return Counter(subjects[parent_id] for parent_id in parents if parent_id is not None)
