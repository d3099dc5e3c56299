import clock.now
from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns that default to the time take it from ``clock_now()``."""

    dependencies = [
        ("clock", "0001_initial"),
        ("payments", "0002_customer_action"),
    ]

    operations = [
        migrations.AlterField(
            model_name="payment",
            name="created_at",
            field=models.DateTimeField(db_default=clock.now.Now()),
        ),
        migrations.AlterField(
            model_name="refund",
            name="created_at",
            field=models.DateTimeField(db_default=clock.now.Now()),
        ),
    ]
