from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0005_version_moves"),
    ]

    operations = [
        migrations.AddField(
            model_name="sagarun",
            name="waiting_then",
            field=models.CharField(blank=True, db_default="", max_length=255),
        ),
    ]
