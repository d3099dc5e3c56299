"""Nudges: a run that waits looks at once, because a fact that it may wait for was committed.

No nudge is lost. A phase tries a wait's condition after it has locked the run; a nudge updates that
row after its fact was inserted, in the same transaction. So either the condition sees the fact, or
the nudge waits for the lock and wakes the run afterwards. A call in flight may have looked too early:
the nudge raises ``nudge_count``, and the phase that settles the call sees that it is not ``nudges_seen``.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, When

from clock.now import Now
from sagas.dispatch import dispatch
from sagas.models import LIVE, SagaRun


def nudge(*, run_ids: Sequence[UUID] = (), subject_ids: Sequence[UUID] = ()) -> int:
    """Wake the live runs with these ids, or of these subjects, where they wait; return how many do.

    Call it in the transaction that inserts the fact, after the insert; they take effect together. A
    run that does not wait now, or is paused, is not woken, but looks as soon as it waits. Repeating
    makes it look again. The runs' rows are locked, by id, until the transaction ends.
    """
    if not run_ids and not subject_ids:
        return 0
    live = SagaRun.objects.filter(status__in=LIVE).order_by("pk").select_for_update(no_key=True)
    with transaction.atomic():
        found = list(
            live.filter(pk__in=run_ids) if run_ids else live.filter(subject_id__in=subject_ids)
        )
        waiting = [run for run in found if _is_waiting(run)]
        ids = [run.pk for run in waiting]
        SagaRun.objects.filter(pk__in=[run.pk for run in found]).update(
            nudge_count=F("nudge_count") + 1,
            wake_at=Case(When(pk__in=ids, then=Now()), default=F("wake_at")),
        )
        for run in waiting:
            dispatch(run)
    return len(waiting)


def _is_waiting(run: SagaRun) -> bool:
    return bool(run.waits_for) and run.leased_until is None and run.paused_at is None
