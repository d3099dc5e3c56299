"""Orders are found by a SKU of theirs; nobody waits while the index is built."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("orders", "0002_guests")]

    operations = [
        AddIndexConcurrently(
            model_name="orderline",
            index=models.Index(fields=["sku"], name="orders_lines_by_sku"),
        ),
    ]
