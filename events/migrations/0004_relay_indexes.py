from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """The index by number replaces that of events to relay. Built without a lock: orders go on.

    The column ``relayed_at`` stays in the database: processes of the release before write it.
    """

    atomic = False

    dependencies = [
        ("events", "0003_relay"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="outboxevent",
            index=models.Index(fields=["number"], name="events_by_number"),
        ),
        RemoveIndexConcurrently(model_name="outboxevent", name="events_to_relay"),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField("outboxevent", "relayed_at")]
        ),
    ]
