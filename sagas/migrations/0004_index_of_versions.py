from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """The index of live runs by version. It is built without a lock: runs go on meanwhile."""

    atomic = False

    dependencies = [
        ("sagas", "0003_clock"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="sagarun",
            index=models.Index(
                condition=models.Q(("status__in", ("running", "compensating"))),
                fields=["saga", "version", "id"],
                name="sagas_run_versions",
            ),
        ),
    ]
