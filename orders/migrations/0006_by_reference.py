"""Orders are found by the shop's reference alone; nobody waits while the index is built."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("orders", "0005_references_and_answers")]

    operations = [
        AddIndexConcurrently(
            model_name="order",
            index=models.Index(
                fields=["reference"],
                condition=Q(reference__isnull=False),
                name="orders_by_reference",
            ),
        ),
    ]
