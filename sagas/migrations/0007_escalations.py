from django.db import migrations, models

ESCALATED = (
    "UPDATE sagas_sagarun SET escalations = 1 WHERE needs_attention AND waits_for <> ''"
    " AND attention_reason LIKE '%: waits past its deadline'"
)


class Migration(migrations.Migration):
    """A wait past its deadline is a fact in a column; so far only the flag's text had it."""

    dependencies = [
        ("sagas", "0006_what_a_wait_promised"),
    ]

    operations = [
        migrations.AddField(
            model_name="sagarun",
            name="escalations",
            field=models.PositiveSmallIntegerField(db_default=0),
        ),
        migrations.RunSQL(ESCALATED, migrations.RunSQL.noop),
    ]
