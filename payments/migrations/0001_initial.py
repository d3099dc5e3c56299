import django.db.models.deletion
import django.db.models.functions.datetime
import sagas.identifiers
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Payment",
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
                ("order_id", models.UUIDField()),
                ("correlation_id", models.UUIDField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("prepared", "Prepared"),
                            ("authorized", "Authorized"),
                            ("captured", "Captured"),
                            ("voided", "Voided"),
                            ("refunded", "Refunded"),
                        ],
                        default="prepared",
                        max_length=16,
                    ),
                ),
                ("amount_minor", models.PositiveBigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("provider", models.CharField(max_length=64)),
                ("params", models.JSONField()),
                ("api_version", models.CharField(max_length=32)),
                ("provider_payment_id", models.CharField(blank=True, max_length=255, null=True)),
                ("key_version", models.PositiveSmallIntegerField(default=1)),
                ("replayed_error_count", models.PositiveSmallIntegerField(default=0)),
                ("closing_since", models.DateTimeField(blank=True, null=True)),
                ("decline_code", models.CharField(blank=True, max_length=64)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("authorized_at", models.DateTimeField(blank=True, null=True)),
                ("captured_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["order_id"], name="payments_by_order")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("provider_payment_id", "provider"),
                        name="payments_one_payment_per_provider_payment",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("closing_since__isnull", True)),
                        fields=("order_id",),
                        name="payments_one_open_payment_per_order",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor__gt", 0)),
                        name="payments_amount_is_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                ["prepared", "authorized", "captured", "voided", "refunded"],
                            )
                        ),
                        name="payments_status_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Refund",
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
                ("amount_minor", models.PositiveBigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                (
                    "status",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("pending", "pending"),
                            ("requires_action", "requires_action"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=16,
                    ),
                ),
                ("provider_refund_id", models.CharField(blank=True, max_length=255)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refunds",
                        to="payments.payment",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["provider_refund_id"], name="payments_refunds_at_provider")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("payment",), name="payments_one_refund_per_payment"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor__gt", 0)),
                        name="payments_refund_is_positive",
                    ),
                ],
            },
        ),
    ]
