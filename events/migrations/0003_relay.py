import events.models
from django.db import migrations, models

CREATE = """
CREATE SEQUENCE events_number AS bigint;
CREATE FUNCTION events_next_number() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_current_xact_id();
    RETURN nextval('events_number');
END
$$;
ALTER TABLE events_outboxevent ADD COLUMN number bigint NOT NULL DEFAULT 0;
ALTER TABLE events_outboxevent ALTER COLUMN number SET DEFAULT events_next_number();
"""
DROP = """
ALTER TABLE events_outboxevent DROP COLUMN number;
DROP FUNCTION events_next_number();
DROP SEQUENCE events_number;
"""


class Migration(migrations.Migration):
    """Events get a number, and transports their positions.

    No operation rewrites the table. Events from before have the number 0.
    """

    dependencies = [
        ("events", "0002_clock"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE, DROP)],
            state_operations=[
                migrations.AddField(
                    "outboxevent",
                    "number",
                    models.BigIntegerField(db_default=events.models.NextNumber(), editable=False),
                )
            ],
        ),
        migrations.CreateModel(
            name="TransportPosition",
            fields=[
                (
                    "transport",
                    models.CharField(max_length=32, primary_key=True, serialize=False),
                ),
                ("number", models.BigIntegerField()),
                ("safe_number", models.BigIntegerField()),
                ("fence", models.PositiveBigIntegerField(default=0)),
                ("relay", models.CharField(blank=True, max_length=100)),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("server", models.CharField(blank=True, max_length=100)),
                ("problem", models.CharField(blank=True, max_length=255)),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
            ],
            options={"verbose_name": "transport", "verbose_name_plural": "transports"},
        ),
    ]
