"""Orders are found by the id of their refund at the bank; nobody waits while the index is built."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0001_initial")]

    operations = [
        AddIndexConcurrently(
            model_name="refund",
            index=models.Index(fields=["bank_refund_id"], name="payments_refunds_by_bank_id"),
        ),
    ]
