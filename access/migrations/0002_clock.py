import clock.now
from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns that default to the time take it from ``clock_now()``."""

    dependencies = [
        ("clock", "0001_initial"),
        ("access", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="linkgeneration",
            name="revoked_at",
            field=models.DateTimeField(db_default=clock.now.Now()),
        ),
    ]
