import clock.now
import django.db.models.deletion
import sagas.identifiers
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0004_index_of_versions"),
    ]

    operations = [
        migrations.CreateModel(
            name="VersionMove",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=sagas.identifiers.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("from_version", models.PositiveSmallIntegerField()),
                ("to_version", models.PositiveSmallIntegerField()),
                ("renamed", models.JSONField(default=dict)),
                ("moved_at", models.DateTimeField(db_default=clock.now.Now())),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="moves",
                        to="sagas.sagarun",
                    ),
                ),
            ],
            options={
                "verbose_name": "move to another version",
                "verbose_name_plural": "moves to other versions",
            },
        ),
    ]
