"""Count a customer's open orders while nobody else adds one, in a single statement."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# A volatile function looks anew after it has the lock; a plain statement would count what was there
# before it waited.
COUNT_OPEN = """
CREATE FUNCTION orders_count_open(buyer integer) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('orders_count_open'), buyer);
    RETURN (
        SELECT count(*) FROM orders_order
        WHERE customer_id = buyer AND status IN ('placed', 'cancelling')
    );
END $$
"""


class Migration(migrations.Migration):
    # So that orders go on being placed while the index is made.
    atomic = False
    dependencies = [("orders", "0006_found_by_reference")]

    operations = [
        AddIndexConcurrently(
            model_name="order",
            index=models.Index(
                condition=models.Q(
                    ("customer__isnull", False), ("status__in", ["placed", "cancelling"])
                ),
                fields=["customer"],
                name="orders_open_by_customer",
            ),
        ),
        migrations.RunSQL(COUNT_OPEN, "DROP FUNCTION orders_count_open(integer)"),
    ]
