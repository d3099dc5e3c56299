"""What runs wait for, since when, until when, and what happens then; and which are flagged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject

from clock.now import Now
from sagas import registry
from sagas.definition import Saga
from sagas.descriptions import WaitText
from sagas.models import LIVE, SagaRun


@dataclass(frozen=True, slots=True)
class WaitView:
    """What a run waits for, since when, until when, and what happens then."""

    code: str
    """The name of the wait step, or the code of the pending call."""
    text: WaitText
    since: datetime
    until: datetime
    is_escalated: bool = False
    """Whether an earlier deadline of this wait has passed, and staff were called."""
    is_paused: bool = False
    """Whether the run looks again only after a person has resumed it."""
    is_over: bool = False
    """Whether the deadline had passed, where the query has read the time."""


_SHOWN: Final = (
    *("saga", "version", "waits_for", "waiting_since", "waiting_until"),
    *("waiting_then", "escalations", "paused_at", "needs_attention"),
)

UNKNOWN_WAIT: Final = WaitText(
    "something that this code does not know", "a further step", "the shop decides"
)


def wait_of(run: SagaRun, saga: Saga | None) -> WaitView | None:
    """Return what ``run`` waits for; None while it does not wait."""
    if not run.waits_for or run.waiting_since is None or run.waiting_until is None:
        return None
    return WaitView(
        run.waits_for,
        _text(saga, run.waits_for, run.waiting_then),
        run.waiting_since,
        run.waiting_until,
        is_escalated=run.escalations > 0,
        is_paused=run.paused_at is not None,
    )


def wait_codes() -> list[str]:
    """Return the codes of all that runs of the registered sagas may wait for."""
    return sorted({code for saga in registry.all_sagas() for code in saga.wait_texts})


def wait_name(code: str) -> str:
    """Return what the runs with this code wait for, for staff; the code itself if none is known."""
    texts = (saga.wait_texts.get(code) for saga in registry.all_sagas())
    return next((text.staff for text in texts if text is not None), code)


def escalated_runs() -> QuerySet[SagaRun]:
    """Return the runs that wait past a deadline, and were given a later one: a few of the flagged."""
    return SagaRun.objects.exclude(waits_for="").filter(needs_attention=True, escalations__gt=0)


def past_deadline() -> Q:
    """Return the condition that a run which waits is past its deadline, or was before."""
    return Q(waiting_until__lte=Now()) | Q(needs_attention=True, escalations__gt=0)


def waits_of(subject_ids: Sequence[UUID]) -> dict[UUID, WaitView]:
    """Return what the live run of each subject waits for, if it waits, in one query."""
    waiting = SagaRun.objects.filter(subject_id__in=subject_ids, status__in=LIVE).exclude(
        waits_for=""
    )
    found = {run.subject_id: wait_of(run, registry.find(run.saga, run.version)) for run in waiting}
    return {subject_id: wait for subject_id, wait in found.items() if wait is not None}


def wait_annotation(subject_id: str) -> Subquery:
    """Return an annotation: what the live run of each row's subject waits for, or that it is flagged.

    ``subject_id`` names the field with the subject's id. ``annotated_wait`` and ``is_flagged`` read
    the annotation.
    """
    live = SagaRun.objects.filter(subject_id=OuterRef(subject_id), status__in=LIVE)
    shown = JSONObject(**{name: name for name in _SHOWN}, read_at=Now())
    notable = ~Q(waits_for="") | Q(needs_attention=True)
    return Subquery(live.filter(notable).values(shown=shown)[:1])


def annotated_wait(annotated: Mapping[str, Any] | None) -> WaitView | None:
    """Return what ``wait_annotation`` found; None for a subject whose run does not wait."""
    if annotated is None or not annotated["waits_for"]:
        return None
    saga = registry.find(annotated["saga"], annotated["version"])
    until = datetime.fromisoformat(annotated["waiting_until"])
    return WaitView(
        code=annotated["waits_for"],
        text=_text(saga, annotated["waits_for"], annotated["waiting_then"]),
        since=datetime.fromisoformat(annotated["waiting_since"]),
        until=until,
        is_escalated=annotated["escalations"] > 0,
        is_paused=annotated["paused_at"] is not None,
        is_over=datetime.fromisoformat(annotated["read_at"]) >= until,
    )


def is_flagged(annotated: Mapping[str, Any] | None) -> bool:
    """Return whether ``wait_annotation`` found that the subject's run needs a person's attention."""
    return annotated is not None and annotated["needs_attention"]


def _text(saga: Saga | None, code: str, promised: str) -> WaitText:
    """Return the texts of a wait, with what was promised to happen at its deadline, if it was."""
    text = saga.wait_texts.get(code, UNKNOWN_WAIT) if saga else UNKNOWN_WAIT
    return replace(text, then=promised) if promised else text
