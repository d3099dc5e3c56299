"""The runs that a local step acts on together, and how it rejects some of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from bulk_sql.statements import Change

Output = dict[str, Any]
"""What a call returns, as JSON. The journal keeps it, and ``record`` receives it."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a run compensates: a stable code for programs, and details for the journal."""

    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as a local step, a hook, ``prepare`` or ``record`` sees it."""

    run_id: UUID
    subject_id: UUID
    correlation_id: UUID
    reason: Rejection | None = None  # why the run compensates, once it does
    actor: str = ""  # who requested the compensation; empty when a step rejected
    result: Output = field(default_factory=dict)  # of the step's call; for ``record``
    input: Output = field(default_factory=dict)  # what the run was started with


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that another one starts: of the newest version of the saga of this name.

    ``key`` is unique for each saga; by default it is the subject's id. ``parent_id`` is the run that
    is nudged when this one ends.
    """

    saga: str
    subject_id: UUID
    correlation_id: UUID
    key: str = ""
    input: Output = field(default_factory=dict)
    parent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class PhaseWrites:
    """What the steps of a phase write at its end, and how they read its journal."""

    read_outputs: Callable[[Sequence[UUID], str], Mapping[UUID, Output]]
    changes: list[Change] = field(default_factory=list)
    children: list[NewRun] = field(default_factory=list)
    successors: list[NewRun] = field(default_factory=list)


class Batch:
    """The runs that a local step acts on together, in one transaction.

    The step writes set-based statements for all of them, and rejects those that it cannot serve. It
    must not write anything for a run that it rejects.
    """

    def __init__(self, runs: Sequence[RunView], phase: PhaseWrites) -> None:
        self.runs = {run.subject_id: run for run in runs}
        self.rejections: dict[UUID, Rejection] = {}
        self.deadlines: Mapping[UUID, datetime] = {}
        """When the wait of each subject ends; for ``begin``."""
        self.then: dict[UUID, str] = {}
        """What ``begin`` promises to happen then, as in ``WaitText``; without it the wait's text counts."""
        self._phase = phase

    @property
    def subject_ids(self) -> list[UUID]:
        """The subjects, in the order in which their rows must be locked."""
        return sorted(self.runs)

    @property
    def correlation_ids(self) -> dict[UUID, UUID]:
        """The correlation id for the events about each subject."""
        return {subject: run.correlation_id for subject, run in self.runs.items()}

    @property
    def results(self) -> dict[UUID, Output]:
        """What the call returned for each subject; for ``record``."""
        return {subject: run.result for subject, run in self.runs.items()}

    def outputs_of(self, step: str) -> dict[UUID, Output]:
        """What an earlier step returned, for each subject for which it has a result."""
        found = self._phase.read_outputs([run.run_id for run in self.runs.values()], step)
        return {
            subject: found[run.run_id] for subject, run in self.runs.items() if run.run_id in found
        }

    def write(self, *changes: Change) -> None:
        """Add rows to the statement that journals the step.

        It runs at the end of the phase; no query finds the rows before.
        """
        self._phase.changes.extend(changes)

    def start_child(self, parent: RunView, saga: str, subject_id: UUID, **options: Any) -> None:
        """Start a run for a subject of its own, in this transaction; repeating starts nothing.

        When it ends it nudges ``parent``. ``options`` are ``key`` and ``input`` of NewRun.
        """
        self._phase.children.append(
            NewRun(saga, subject_id, parent.correlation_id, parent_id=parent.run_id, **options)
        )

    def start_successor(self, ended: RunView, saga: str, **options: Any) -> None:
        """Start the run that follows one that ends in this transaction, for the same subject.

        Only for ``Saga.on_completed``. ``options`` are ``key`` and ``input`` of NewRun.
        """
        self._phase.successors.append(
            NewRun(saga, ended.subject_id, ended.correlation_id, **options)
        )

    def reject(self, subject_id: UUID, code: str, detail: str = "") -> None:
        """Reject one subject, so that its run compensates. The step must declare ``code``."""
        self.rejections[subject_id] = Rejection(code, detail)


class WaitBatch(Batch):
    """The runs whose condition is tried together. A run without a word goes on waiting."""

    def __init__(
        self,
        runs: Sequence[RunView],
        phase: PhaseWrites,
        *,
        arrived_ids: frozenset[UUID],
        overdue_ids: frozenset[UUID],
    ) -> None:
        super().__init__(runs, phase)
        self.arrived_ids = arrived_ids
        """The subjects whose run has just arrived: it does not wait yet."""
        self.overdue_ids = overdue_ids
        """The subjects whose deadline has passed."""
        self.outputs: dict[UUID, Output] = {}

    def proceed(self, subject_id: UUID, output: Output | None = None) -> None:
        """Say that the wait of one subject's run is over; the journal keeps ``output``."""
        self.outputs[subject_id] = output or {}
