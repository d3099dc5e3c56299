"""A new run wakes by itself, on the database's clock, though nobody says when."""

from datetime import timedelta

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("sagas", "0002_frozen_runs")]

    operations = [
        migrations.AlterField(
            model_name="sagarun",
            name="wake_at",
            field=models.DateTimeField(
                blank=True, db_default=Now() + timedelta(seconds=5), null=True
            ),
        ),
    ]
