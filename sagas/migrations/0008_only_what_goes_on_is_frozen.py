"""Lift what an earlier release left frozen on its way back and at its end."""

from django.db import migrations

LIFT = """
UPDATE sagas_sagarun SET frozen_at = NULL, needs_attention = false, attention_reason = ''
WHERE frozen_at IS NOT NULL AND status <> 'running'
"""


class Migration(migrations.Migration):
    dependencies = [("sagas", "0007_names_for_people")]

    operations = [migrations.RunSQL(LIFT, migrations.RunSQL.noop)]
