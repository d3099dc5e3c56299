"""Find the orders that moved lately."""

from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    # So that orders go on moving while the index is made.
    atomic = False
    dependencies = [("orders", "0008_names_for_people")]

    operations = [
        AddIndexConcurrently(
            model_name="ordertransition",
            index=BrinIndex(autosummarize=True, fields=["at"], name="orders_moved_lately"),
        ),
    ]
