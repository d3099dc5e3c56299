"""The journal: every run, its attempts with their outcomes, and when the sweep looks at it next."""

from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q, Value

from clock.now import Now
from sagas.identifiers import new_id
from sagas.pause_reasons import PauseReason

MESSAGE_GRACE: Final = timedelta(seconds=5)
"""How long a message may take to reach a worker before the sweep sends another one."""


MOVES_WITHIN: Final = timedelta(hours=2)
"""A run that does not wait wakes within this time: after a message, a lease or a back-off."""


class RunStatus(models.TextChoices):
    RUNNING = "running"  # takes its steps, first to last
    COMPENSATING = "compensating"  # compensates, last step first; never takes a step again
    COMPLETED = "completed"  # final: every step is done
    COMPENSATED = "compensated"  # final: everything that was done is compensated


LIVE = (RunStatus.RUNNING, RunStatus.COMPENSATING)


class Direction(models.TextChoices):
    FORWARD = "forward"  # the step's action
    COMPENSATING = "compensating"  # its compensation


class Outcome(models.TextChoices):
    STARTED = "started"  # the call is in flight, or its worker has died
    DONE = "done"
    REJECTED = "rejected"  # the system said no
    PENDING = "pending"  # the system has accepted; its answer comes later
    PROCEEDED = "proceeded"  # no answer and retries spent: the run went on with the declared output
    TRANSIENT = "transient"  # not done yet; retried
    UNKNOWN = "unknown"  # it may have taken effect; the next attempt finds out
    LOST = "lost"  # its worker did not report before the lease ran out
    FAILED = "failed"  # an error that the step does not declare: a bug, or a matter for a person
    INTERRUPTED = "interrupted"  # a wait that ended because the run was requested to compensate


class SagaRun(models.Model):
    """One execution of a saga for one subject.

    ``sagas.new_runs`` inserts it; ``sagas.phase`` advances it through ``sagas.journal``;
    ``sagas.services`` records people's requests, ``sagas.nudges`` counts nudges, and ``sagas.sweep``
    how often it was queued again.

    The worker with an unexpired lease is the run's only writer. Each claim raises ``fence``, so a
    worker that comes back after its lease finds another number and writes nothing.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    saga = models.CharField(max_length=64)
    version = models.PositiveSmallIntegerField()
    # Unique for each saga. By default the subject's id: then a subject has one run of each saga.
    key = models.CharField(max_length=100)
    subject_id = models.UUIDField()
    correlation_id = models.UUIDField()
    # The run that is nudged when this one ends.
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, db_index=False)
    # What it was started with; steps read it.
    input = models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
    status = models.CharField(max_length=16, choices=RunStatus, default=RunStatus.RUNNING)
    # The first unfinished step of a running saga; empty while it compensates and at the end.
    step = models.CharField(max_length=64, blank=True)
    # Attempts at that step so far.
    attempt_count = models.PositiveIntegerField(default=0)
    # Attempts that count against the step's retry limit, the first included. Failed ones do not
    # count. "Retry now" starts again at 0.
    retry_count = models.PositiveIntegerField(default=0)
    # Attempts at that step since its system has last answered: they decide the back-off.
    tries = models.PositiveIntegerField(default=0, db_default=0)
    fence = models.PositiveBigIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True)
    # The end of a back-off: no attempt starts before it.
    not_before = models.DateTimeField(null=True, blank=True)
    # When the sweep looks at the run if no worker has. Never empty while the run is live.
    wake_at = models.DateTimeField(null=True, blank=True, db_default=Now() + MESSAGE_GRACE)
    # How often it was nudged, and the count at which it looked last; see sagas.nudges.
    nudge_count = models.PositiveIntegerField(default=0, db_default=0)
    nudges_seen = models.PositiveIntegerField(default=0, db_default=0)
    # What it waits for: the name of a wait step, or the code of a pending call. Empty while it does not.
    waits_for = models.CharField(max_length=64, blank=True, db_default="")
    waiting_since = models.DateTimeField(null=True, blank=True)
    # The deadline of the wait.
    waiting_until = models.DateTimeField(null=True, blank=True)
    # What happens then, where ``begin`` has promised it; empty: what the wait's text says.
    waiting_then = models.CharField(max_length=255, blank=True, db_default="")
    # How often it was flagged because this wait is past its deadline, and given a later one. Such a
    # run stays flagged, so the index of flagged runs finds it. A deadline set by people starts at 0.
    escalations = models.PositiveSmallIntegerField(db_default=0)
    # How often the sweep has queued the run since it last made progress.
    redispatch_count = models.PositiveSmallIntegerField(default=0)
    compensation_requested_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=64, blank=True)
    reason_detail = models.TextField(blank=True)
    actor = models.CharField(max_length=150, blank=True)
    # A flag for people, not a state: the run is retried, cancelled and compensated as before.
    needs_attention = models.BooleanField(default=False)
    attention_reason = models.TextField(blank=True)
    # A paused run starts no further step until a person resumes it; a call in flight is settled.
    # Empty again once the run is requested to compensate, compensates, or ends.
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=32, blank=True, choices=PauseReason)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    # The database's clock, where a query asks for it.
    db_now: datetime

    class Meta:
        verbose_name = "run"
        verbose_name_plural = "runs"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=LIVE, wake_at__isnull=False)
                | (~Q(status__in=LIVE) & Q(wake_at__isnull=True)),
                name="sagas_live_run_always_wakes",
            ),
            models.CheckConstraint(
                condition=Q(status__in=RunStatus.values), name="sagas_run_status_known"
            ),
            models.CheckConstraint(
                condition=Q(paused_at__isnull=True, pause_reason="")
                | Q(paused_at__isnull=False, pause_reason__in=PauseReason.values),
                name="sagas_paused_run_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(waits_for="", waiting_since__isnull=True, waiting_until__isnull=True)
                | (~Q(waits_for="") & Q(waiting_since__isnull=False, waiting_until__isnull=False)),
                name="sagas_wait_has_a_deadline",
            ),
            # Starting twice returns the run that exists.
            models.UniqueConstraint(fields=["key", "saga"], name="sagas_one_run_per_key_and_saga"),
            # One run, one writer: a cancellation waits until the checkout has ended.
            models.UniqueConstraint(
                fields=["subject_id"], condition=Q(status__in=LIVE), name="sagas_one_live_run"
            ),
        ]
        indexes: ClassVar = [
            # Read by pages about one subject.
            models.Index(fields=["subject_id", "saga"], name="sagas_run_subject"),
            # Read by a parent that waits for its children.
            models.Index(
                fields=["parent"], condition=Q(parent__isnull=False), name="sagas_run_parent"
            ),
            # Read by metrics and commands about versions: the live runs of one version, by id.
            models.Index(
                fields=["saga", "version", "id"],
                condition=Q(status__in=LIVE),
                name="sagas_run_versions",
            ),
            # Read by the desk: what runs wait for, and which are past their deadline.
            models.Index(
                fields=["waits_for", "waiting_until"],
                include=["waiting_since"],
                condition=~Q(waits_for=""),
                name="sagas_run_waits",
            ),
            # Read by the sweep.
            models.Index(
                fields=["wake_at"], condition=Q(status__in=LIVE), name="sagas_run_to_wake"
            ),
            # Read by the desk: runs that wait for a person.
            models.Index(
                fields=["created_at"], condition=Q(needs_attention=True), name="sagas_run_attention"
            ),
            # Read by the desk: paused runs.
            models.Index(
                fields=["paused_at"], condition=Q(paused_at__isnull=False), name="sagas_run_paused"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.saga} of {self.subject_id}: {self.status}"

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


class StepAttempt(models.Model):
    """One attempt at one step, or at its compensation. Rows are never deleted.

    Only ``sagas.journal`` writes them, for a phase. A row is inserted when the attempt starts, and
    settled once: by the worker with its fence or, as lost, by the worker that takes the run over. A
    result that comes after that is noted in ``detail``. *Retry now* clears a compensation's back-off.
    """

    id = models.BigAutoField(primary_key=True)
    # No index of its own: the unique constraint below begins with it.
    run = models.ForeignKey(SagaRun, models.PROTECT, related_name="attempts", db_index=False)
    step = models.CharField(max_length=64)
    direction = models.CharField(max_length=16, choices=Direction)
    number = models.PositiveIntegerField()
    # Attempts since the system has last answered, this one included.
    tries = models.PositiveIntegerField(default=0, db_default=0)
    fence = models.PositiveBigIntegerField()
    outcome = models.CharField(max_length=16, choices=Outcome)
    output = models.JSONField(default=dict)
    error = models.CharField(max_length=128, blank=True)
    detail = models.TextField(blank=True)
    # Each compensation has a back-off of its own.
    not_before = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "attempt"
        verbose_name_plural = "attempts"
        indexes: ClassVar = [
            # Read by pages and metrics about recent attempts. Rows are stored in the order of their
            # start, so a few bytes for each megabyte of rows are enough.
            BrinIndex(fields=["started_at"], autosummarize=True, name="sagas_attempt_lately"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["run", "step", "direction", "fence"], name="sagas_one_attempt_per_claim"
            ),
            models.UniqueConstraint(
                fields=["run", "step", "direction"],
                condition=Q(outcome=Outcome.DONE),
                name="sagas_step_done_once",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=Outcome.values), name="sagas_attempt_outcome_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.direction} #{self.number}: {self.outcome}"


class SentSignal(models.Model):
    """A signal to a run. ``sagas.signals`` inserts it, and marks it when a wait has taken it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of its own: the unique constraint below begins with it.
    run = models.ForeignKey(SagaRun, models.PROTECT, related_name="signals", db_index=False)
    name = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    payload = models.JSONField(default=dict)
    actor = models.CharField(max_length=150, blank=True)
    sent_at = models.DateTimeField(db_default=Now())
    taken_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "signal"
        verbose_name_plural = "signals"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "name", "key"], name="sagas_one_signal_per_key"),
        ]

    def __str__(self) -> str:
        return f"{self.name} to {self.run_id}"


class VersionMove(models.Model):
    """A move of a run to another version of its saga. ``sagas.moving`` inserts it.

    Moving gives the journal's rows of the run the step names of the new version. ``renamed`` keeps
    the names that they had: old name to new name.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(SagaRun, models.PROTECT, related_name="moves")
    from_version = models.PositiveSmallIntegerField()
    to_version = models.PositiveSmallIntegerField()
    renamed = models.JSONField(default=dict)
    moved_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "move to another version"
        verbose_name_plural = "moves to other versions"

    def __str__(self) -> str:
        return f"{self.run_id} from version {self.from_version} to {self.to_version}"


class LastSweep(models.Model):
    """The last sweep from one source; written by ``sagas.sweep`` with each sweep."""

    source = models.CharField(primary_key=True, max_length=16)
    at = models.DateTimeField()
    queued = models.PositiveIntegerField()

    class Meta:
        verbose_name = "last sweep"
        verbose_name_plural = "last sweeps"

    def __str__(self) -> str:
        return f"{self.source} at {self.at}"
