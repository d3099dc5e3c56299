import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Warehouse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(max_length=32, unique=True)),
                ("name", models.CharField(max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "sku",
                    models.CharField(
                        max_length=64,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator("^[A-Za-z0-9][A-Za-z0-9._-]*$")
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("price_minor", models.PositiveBigIntegerField()),
                ("is_withdrawn", models.BooleanField(default=False)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("price_minor__gt", 0)),
                        name="inventory_price_is_positive",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StockLevel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("on_hand", models.PositiveBigIntegerField(default=0)),
                ("reserved", models.PositiveBigIntegerField(default=0)),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="stock_levels",
                        to="inventory.product",
                    ),
                ),
                (
                    "warehouse",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="stock_levels",
                        to="inventory.warehouse",
                    ),
                ),
            ],
            options={
                "verbose_name": "stock level",
                "verbose_name_plural": "stock",
                "permissions": [("adjust_stocklevel", "Can receive goods, and adjust stock")],
            },
        ),
        migrations.CreateModel(
            name="StockMovement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("receipt", "Receipt"),
                            ("reserve", "Reserve"),
                            ("release", "Release"),
                            ("adjust", "Adjust"),
                        ],
                        max_length=16,
                    ),
                ),
                ("quantity", models.IntegerField()),
                ("line_id", models.UUIDField(blank=True, null=True)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "stock_level",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="movements",
                        to="inventory.stocklevel",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StockEntry",
            fields=[
                ("token", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("actor", models.CharField(max_length=150)),
                ("reason", models.TextField(max_length=1000)),
                (
                    "movement",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entry",
                        to="inventory.stockmovement",
                    ),
                ),
            ],
            options={
                "verbose_name": "stock entry",
                "verbose_name_plural": "stock entries",
            },
        ),
        migrations.CreateModel(
            name="Reservation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("order_id", models.UUIDField()),
                ("line_id", models.UUIDField()),
                ("quantity", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("held", "Held"),
                            ("confirmed", "Confirmed"),
                            ("released", "Released"),
                        ],
                        default="held",
                        max_length=16,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "stock_level",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reservations",
                        to="inventory.stocklevel",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["order_id"], name="inventory_by_order")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("line_id",), name="inventory_line_reserved_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quantity__gt", 0)),
                        name="inventory_reservation_is_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["held", "confirmed", "released"])),
                        name="inventory_reservation_status_known",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="stockmovement",
            constraint=models.UniqueConstraint(
                condition=models.Q(("line_id__isnull", False)),
                fields=("line_id", "kind"),
                name="inventory_movement_once_per_line",
            ),
        ),
        migrations.AddConstraint(
            model_name="stockmovement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind__in", ("receipt", "adjust")), ("line_id__isnull", True)),
                    models.Q(
                        models.Q(("kind__in", ("receipt", "adjust")), _negated=True),
                        ("line_id__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="inventory_movement_has_its_line",
            ),
        ),
        migrations.AddConstraint(
            model_name="stockmovement",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind", "adjust"), ("quantity__gte", 0), _connector="OR"),
                name="inventory_movement_quantity_sign",
            ),
        ),
        migrations.AddConstraint(
            model_name="stocklevel",
            constraint=models.UniqueConstraint(
                fields=("product", "warehouse"), name="inventory_one_level_per_warehouse"
            ),
        ),
        migrations.AddConstraint(
            model_name="stocklevel",
            constraint=models.CheckConstraint(
                condition=models.Q(("reserved__lte", models.F("on_hand"))),
                name="inventory_never_oversold",
            ),
        ),
    ]
