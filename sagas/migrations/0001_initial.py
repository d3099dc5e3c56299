import datetime
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import sagas.identifiers
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="LastSweep",
            fields=[
                ("source", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("queued", models.PositiveIntegerField()),
            ],
            options={
                "verbose_name": "last sweep",
                "verbose_name_plural": "last sweeps",
            },
        ),
        migrations.CreateModel(
            name="SagaRun",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=sagas.identifiers.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("saga", models.CharField(max_length=64)),
                ("version", models.PositiveSmallIntegerField()),
                ("subject_id", models.UUIDField()),
                ("correlation_id", models.UUIDField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("compensating", "Compensating"),
                            ("completed", "Completed"),
                            ("compensated", "Compensated"),
                        ],
                        default="running",
                        max_length=16,
                    ),
                ),
                ("step", models.CharField(blank=True, max_length=64)),
                ("attempt_count", models.PositiveIntegerField(default=0)),
                ("retry_count", models.PositiveIntegerField(default=0)),
                ("fence", models.PositiveBigIntegerField(default=0)),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("not_before", models.DateTimeField(blank=True, null=True)),
                (
                    "wake_at",
                    models.DateTimeField(
                        blank=True,
                        db_default=django.db.models.expressions.CombinedExpression(
                            django.db.models.functions.datetime.Now(),
                            "+",
                            models.Value(datetime.timedelta(seconds=5)),
                        ),
                        null=True,
                    ),
                ),
                ("redispatch_count", models.PositiveSmallIntegerField(default=0)),
                ("compensation_requested_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, max_length=64)),
                ("reason_detail", models.TextField(blank=True)),
                ("actor", models.CharField(blank=True, max_length=150)),
                ("needs_attention", models.BooleanField(default=False)),
                ("attention_reason", models.TextField(blank=True)),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                (
                    "pause_reason",
                    models.CharField(
                        blank=True,
                        choices=[("staff", "Staff"), ("money_in_doubt", "Money In Doubt")],
                        max_length=32,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "run",
                "verbose_name_plural": "runs",
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ("running", "compensating"))),
                        fields=["wake_at"],
                        name="sagas_run_to_wake",
                    ),
                    models.Index(
                        condition=models.Q(("needs_attention", True)),
                        fields=["created_at"],
                        name="sagas_run_attention",
                    ),
                    models.Index(
                        condition=models.Q(("paused_at__isnull", False)),
                        fields=["paused_at"],
                        name="sagas_run_paused",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("status__in", ("running", "compensating")),
                                ("wake_at__isnull", False),
                            ),
                            models.Q(
                                models.Q(
                                    ("status__in", ("running", "compensating")), _negated=True
                                ),
                                ("wake_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="sagas_live_run_always_wakes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["running", "compensating", "completed", "compensated"])
                        ),
                        name="sagas_run_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("pause_reason", ""), ("paused_at__isnull", True)),
                            models.Q(
                                ("pause_reason__in", ["staff", "money_in_doubt"]),
                                ("paused_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="sagas_paused_run_has_a_reason",
                    ),
                    models.UniqueConstraint(
                        fields=("subject_id", "saga"), name="sagas_one_run_per_subject_and_saga"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ("running", "compensating"))),
                        fields=("subject_id",),
                        name="sagas_one_live_run",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="StepAttempt",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("step", models.CharField(max_length=64)),
                (
                    "direction",
                    models.CharField(
                        choices=[("forward", "Forward"), ("compensating", "Compensating")],
                        max_length=16,
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("fence", models.PositiveBigIntegerField()),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("started", "Started"),
                            ("done", "Done"),
                            ("rejected", "Rejected"),
                            ("proceeded", "Proceeded"),
                            ("transient", "Transient"),
                            ("unknown", "Unknown"),
                            ("lost", "Lost"),
                            ("failed", "Failed"),
                        ],
                        max_length=16,
                    ),
                ),
                ("output", models.JSONField(default=dict)),
                ("error", models.CharField(blank=True, max_length=128)),
                ("detail", models.TextField(blank=True)),
                ("not_before", models.DateTimeField(blank=True, null=True)),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attempts",
                        to="sagas.sagarun",
                    ),
                ),
            ],
            options={
                "verbose_name": "attempt",
                "verbose_name_plural": "attempts",
                "indexes": [
                    django.contrib.postgres.indexes.BrinIndex(
                        autosummarize=True, fields=["started_at"], name="sagas_attempt_lately"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("run", "step", "direction", "fence"),
                        name="sagas_one_attempt_per_claim",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("outcome", "done")),
                        fields=("run", "step", "direction"),
                        name="sagas_step_done_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "outcome__in",
                                [
                                    "started",
                                    "done",
                                    "rejected",
                                    "proceeded",
                                    "transient",
                                    "unknown",
                                    "lost",
                                    "failed",
                                ],
                            )
                        ),
                        name="sagas_attempt_outcome_known",
                    ),
                ],
            },
        ),
    ]
