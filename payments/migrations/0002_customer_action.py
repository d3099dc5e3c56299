from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="client_secret",
            field=models.CharField(blank=True, db_default="", max_length=255),
        ),
        migrations.AddField(
            model_name="payment",
            name="next_action",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("client_secret", ""), ("next_action__isnull", True)),
                    models.Q(("closing_since__isnull", True), ("status", "prepared")),
                    _connector="OR",
                ),
                name="payments_action_only_while_open",
            ),
        ),
    ]
