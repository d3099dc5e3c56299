"""Signals: what a person or a program tells a run that is under way, recorded once.

A saga declares its signals. Sending one inserts a row under the run's lock and nudges the run; a
wait of the saga takes the row in the transaction in which it goes on. A signal that comes before its
wait begins is found when the wait begins.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.db import transaction

from clock.now import Now
from sagas import registry
from sagas.batch import Batch, Output
from sagas.errors import InvalidSignal, SignalConflict, SignalRefused
from sagas.models import LIVE, RunStatus, SagaRun, SentSignal
from sagas.nudges import nudge
from sagas.signal_types import Signal, SignalContext, allowed_now


@dataclass(frozen=True, slots=True)
class SignalReceipt:
    """A recorded signal."""

    id: UUID
    is_first: bool
    """False if this signal was recorded before, under the same key."""


@transaction.atomic
def send_signal(
    subject_id: UUID, name: str, payload: Mapping[str, Any], *, key: str, actor: str
) -> SignalReceipt:
    """Record a signal for the live run of a subject, and wake the run if it waits.

    Repeating with the same ``key`` changes nothing and returns the first receipt. Of concurrent calls
    one records. After the commit the signal is never lost, whatever crashes.

    Raises SignalRefused, with the signals that are allowed now, if the run does not take it (any
    more) or no run is live. Raises InvalidSignal if the payload does not fit. Raises SignalConflict
    for a key that was used for another payload. Then nothing is recorded.
    """
    live = SagaRun.objects.filter(subject_id=subject_id, status__in=LIVE)
    run = live.select_for_update(no_key=True).first()
    known = SentSignal.objects.filter(run__subject_id=subject_id, name=name, key=key).first()
    if run is None:
        if known is not None:
            return _repeated(known, payload)
        raise SignalRefused(name, ())
    if known is not None:
        return _repeated(known, payload)
    declared = registry.get(run.saga, run.version).signals
    allowed = tuple(signal.name for signal in allowed_now(declared, _context(run)))
    signal = next((signal for signal in declared if signal.name == name), None)
    if signal is None or name not in allowed:
        raise SignalRefused(name, allowed)
    sent = SentSignal.objects.create(
        run=run, name=name, key=key, payload=_validated(signal, payload), actor=actor
    )
    nudge(run_ids=[run.pk])
    return SignalReceipt(sent.pk, is_first=True)


def allowed_signals(subject_id: UUID) -> list[Signal]:
    """Return the signals that the live run of a subject takes now; empty if no run is live."""
    run = SagaRun.objects.filter(subject_id=subject_id, status__in=LIVE).first()
    saga = registry.find(run.saga, run.version) if run else None
    if run is None or saga is None:
        return []
    return allowed_now(saga.signals, _context(run))


def declared_signals(subject_id: UUID) -> list[Signal]:
    """Return the signals that the sagas of a subject's runs declare, allowed now or not."""
    runs = SagaRun.objects.filter(subject_id=subject_id).order_by("created_at")
    sagas = [registry.find(*run) for run in runs.values_list("saga", "version")]
    return [signal for saga in sagas if saga for signal in saga.signals]


def take_signals(batch: Batch, name: str) -> dict[UUID, Output]:
    """Return, for each subject that has one, the payload of its oldest signal, which is then taken.

    For the condition of a wait, which runs under the runs' locks. A signal is taken once, in the
    transaction of the condition.
    """
    runs = {run.run_id: subject_id for subject_id, run in batch.runs.items()}
    waiting = SentSignal.objects.filter(run__in=list(runs), name=name, taken_at__isnull=True)
    oldest = {sent.run_id: sent for sent in waiting.order_by("-pk")}
    SentSignal.objects.filter(pk__in=[sent.pk for sent in oldest.values()]).update(taken_at=Now())
    return {runs[run_id]: sent.payload for run_id, sent in oldest.items()}


def _context(run: SagaRun) -> SignalContext:
    return SignalContext(run.step, run.waits_for, run.status == RunStatus.COMPENSATING)


def _repeated(known: SentSignal, payload: Mapping[str, Any]) -> SignalReceipt:
    if known.payload != dict(payload):
        raise SignalConflict(known.name, known.key)
    return SignalReceipt(known.pk, is_first=False)


def _validated(signal: Signal, payload: Mapping[str, Any]) -> Output:
    form = signal.schema({name: _as_form_value(value) for name, value in payload.items()})
    problems = {name: ["This field is not known."] for name in payload.keys() - form.fields.keys()}
    problems |= {
        name: ["This value is not allowed here."]
        for name, value in payload.items()
        if name in form.fields and not _is_allowed(form.fields[name], value)
    }
    if not problems and not form.is_valid():
        problems |= {name: list(map(str, errors)) for name, errors in form.errors.items()}
    if problems:
        raise InvalidSignal(signal.name, problems)
    return dict(payload)


def _is_allowed(field: forms.Field, value: object) -> bool:
    """Return whether a field can read a JSON value: fields without lists raise for a list."""
    if _contains_null_character(value):  # PostgreSQL stores none
        return False
    if isinstance(field, forms.JSONField):
        return True
    if isinstance(value, list):
        has_lists = isinstance(field, forms.MultipleChoiceField)
        return has_lists and all(isinstance(item, str) for item in value)
    return not isinstance(value, dict)


def _contains_null_character(value: object) -> bool:
    match value:
        case str():
            return "\x00" in value
        case list():
            return any(map(_contains_null_character, value))
        case dict():
            return any(map(_contains_null_character, [*value.keys(), *value.values()]))
    return False


def _as_form_value(value: object) -> object:
    """Return a JSON value as a form reads it: numbers and booleans are text, as in a browser's form."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value
