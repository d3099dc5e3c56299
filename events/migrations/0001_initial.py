import django.db.models.functions.datetime
import sagas.identifiers
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="OutboxEvent",
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
                ("name", models.CharField(max_length=64)),
                ("version", models.PositiveSmallIntegerField()),
                ("key", models.UUIDField()),
                ("correlation_id", models.UUIDField()),
                ("payload", models.JSONField()),
                (
                    "recorded_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("relayed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "event",
                "verbose_name_plural": "events",
                "indexes": [
                    models.Index(fields=["key", "id"], name="events_by_key"),
                    models.Index(
                        condition=models.Q(("relayed_at__isnull", True)),
                        fields=["id"],
                        name="events_to_relay",
                    ),
                ],
            },
        ),
    ]
