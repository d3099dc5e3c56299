import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import sagas.identifiers
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="LinkGeneration",
            fields=[
                ("order_id", models.UUIDField(primary_key=True, serialize=False)),
                ("generation", models.PositiveIntegerField()),
                (
                    "revoked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("revoked_by", models.CharField(blank=True, max_length=150)),
            ],
            options={
                "verbose_name": "links of an order",
                "verbose_name_plural": "links of orders",
            },
        ),
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("token_key", models.CharField(db_index=True, max_length=25)),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("expiry", models.DateTimeField(blank=True, null=True)),
                (
                    "id",
                    models.UUIDField(
                        default=sagas.identifiers.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("digest", models.CharField(editable=False, max_length=128, unique=True)),
                ("name", models.CharField(blank=True, max_length=100)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("orders:read", "See orders and the catalogue"),
                                ("orders:write", "Place and cancel orders"),
                                (
                                    "shop",
                                    "Act for the shop: with the orders of all customers and guests",
                                ),
                            ],
                            max_length=32,
                        ),
                        size=None,
                    ),
                ),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_by", models.CharField(blank=True, max_length=150)),
                ("revoked_reason", models.CharField(blank=True, max_length=255)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="auth_token_set",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "API token",
                "verbose_name_plural": "API tokens",
                "ordering": ["-created"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("scopes__contained_by", ["orders:read", "orders:write", "shop"])
                        ),
                        name="access_scopes_known",
                    )
                ],
            },
        ),
    ]
