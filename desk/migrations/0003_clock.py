import clock.now
from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns that default to the time take it from ``clock_now()``."""

    dependencies = [
        ("clock", "0001_initial"),
        ("desk", "0002_approvals"),
    ]

    operations = [
        migrations.AlterField(
            model_name="bulkaction",
            name="created_at",
            field=models.DateTimeField(db_default=clock.now.Now()),
        ),
        migrations.AlterField(
            model_name="operatoraction",
            name="at",
            field=models.DateTimeField(db_default=clock.now.Now()),
        ),
    ]
