from django.db import migrations


class Migration(migrations.Migration):
    """Creates ``clock_now()``. Every migration whose columns default to it depends on this one."""

    initial = True
    dependencies = []

    operations = [
        migrations.RunSQL(
            "CREATE OR REPLACE FUNCTION clock_now() RETURNS timestamptz"
            " LANGUAGE sql STABLE PARALLEL SAFE AS $$SELECT statement_timestamp()$$",
            "DROP FUNCTION clock_now()",
        )
    ]
