from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ReconciliationBreak",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(max_length=8)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("money", "Money"),
                            ("stock", "Stock"),
                            ("state", "State"),
                            ("journal", "Journal"),
                            ("outbox", "Outbox"),
                        ],
                        max_length=16,
                    ),
                ),
                ("subject", models.CharField(max_length=255)),
                ("detail", models.TextField()),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("times_seen", models.PositiveIntegerField(default=1)),
                ("order_paused_at", models.DateTimeField(blank=True, null=True)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("resolution", models.TextField(blank=True)),
                ("resolved_by", models.CharField(blank=True, max_length=150)),
            ],
            options={
                "verbose_name": "break",
                "verbose_name_plural": "breaks",
                "indexes": [
                    models.Index(fields=["-first_seen"], name="invariants_breaks_by_age"),
                    models.Index(fields=["subject"], name="invariants_breaks_by_subject"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["money", "stock", "state", "journal", "outbox"])
                        ),
                        name="invariants_break_kind_known",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("resolved_at__isnull", True)),
                        fields=("code", "subject"),
                        name="invariants_one_open_break",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("resolution", ""), ("resolved_at__isnull", True)),
                            models.Q(
                                ("resolved_at__isnull", False),
                                models.Q(("resolution", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="invariants_resolved_with_a_reason",
                    ),
                ],
            },
        ),
    ]
