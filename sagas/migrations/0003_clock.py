import clock.now
import datetime
import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns that default to the time take it from ``clock_now()``."""

    dependencies = [
        ("clock", "0001_initial"),
        ("sagas", "0002_waits"),
    ]

    operations = [
        migrations.AlterField(
            model_name="sagarun",
            name="created_at",
            field=models.DateTimeField(db_default=clock.now.Now()),
        ),
        migrations.AlterField(
            model_name="sagarun",
            name="wake_at",
            field=models.DateTimeField(
                blank=True,
                db_default=django.db.models.expressions.CombinedExpression(
                    clock.now.Now(), "+", models.Value(datetime.timedelta(seconds=5))
                ),
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="sentsignal",
            name="sent_at",
            field=models.DateTimeField(db_default=clock.now.Now()),
        ),
        migrations.AlterField(
            model_name="stepattempt",
            name="started_at",
            field=models.DateTimeField(db_default=clock.now.Now()),
        ),
    ]
