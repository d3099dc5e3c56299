"""Two sagas of one step: a timer, and a wait for a signal."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sagas.batch import Batch, WaitBatch
from sagas.definition import Saga, timer_step, wait_step
from sagas.descriptions import StepText, WaitText
from sagas.signal_types import Signal
from sagas.signals import take_signals
from sagas.work import Proceed

QUEUE: Final = "checkout"  # that of the waits of orders

RING: Final = Signal("ring", "The run goes on.")


@timer_step(
    queue=QUEUE,
    describe=StepText("benchmark: a timer", "Waiting for a time"),
    waits_for=WaitText("a time", "a time", "the run ends"),
)
def bench_timer(batch: Batch) -> Mapping[UUID, datetime]:
    return {
        subject_id: datetime.fromisoformat(run.input["until"])
        for subject_id, run in batch.runs.items()
    }


@wait_step(
    queue=QUEUE,
    describe=StepText("benchmark: a signal", "Waiting for a signal"),
    waits_for=WaitText("a signal", "a signal", "the run ends"),
    deadline=timedelta(days=30),
    overdue=Proceed({}),
)
def bench_signal(batch: WaitBatch) -> None:
    for subject_id, payload in take_signals(batch, RING.name).items():
        batch.proceed(subject_id, payload)


SAGAS: Final = (
    Saga("bench_timer", 1, (bench_timer,), compensation_queue="compensation"),
    Saga("bench_signal", 1, (bench_signal,), compensation_queue="compensation", signals=(RING,)),
)
