"""An order's runs are found by the order; one for each saga, as before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0005_last_sweep"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="sagarun",
            constraint=models.UniqueConstraint(
                fields=("subject_id", "saga"), name="sagas_one_run_per_subject_and_saga"
            ),
        ),
        migrations.RemoveConstraint(
            model_name="sagarun",
            name="sagas_one_run_per_saga_and_subject",
        ),
    ]
