import django.db.models.deletion
import django.db.models.functions.datetime
import sagas.identifiers
from django.conf import settings
from django.db import migrations, models


# Audit rows are append-only: the database itself refuses to change or delete one.
APPEND_ONLY = """
CREATE FUNCTION desk_refuse_to_rewrite_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER desk_operatoraction_append_only BEFORE UPDATE OR DELETE ON desk_operatoraction
    FOR EACH ROW EXECUTE FUNCTION desk_refuse_to_rewrite_history();
"""

DROP_APPEND_ONLY = """
DROP TRIGGER desk_operatoraction_append_only ON desk_operatoraction;
DROP FUNCTION desk_refuse_to_rewrite_history();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("orders", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BulkAction",
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
                ("token", models.UUIDField(editable=False, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("retry", "retry now"),
                            ("cancel", "cancel"),
                            ("pause", "pause"),
                            ("resume", "resume"),
                            ("note", "note"),
                            ("export", "export"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reason", models.TextField(max_length=1000)),
                ("selection", models.TextField()),
                ("count", models.PositiveIntegerField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("stopped_at", models.DateTimeField(blank=True, null=True)),
                ("stopped_by", models.CharField(blank=True, max_length=150)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "operator",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "bulk action",
                "verbose_name_plural": "bulk actions",
                "permissions": [("act_in_bulk", "Can act on many orders at once")],
            },
        ),
        migrations.CreateModel(
            name="BulkItem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("done", "Done"),
                            ("refused", "Refused"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("message", models.TextField(blank=True)),
                ("failures", models.PositiveSmallIntegerField(default=0)),
                (
                    "bulk",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="desk.bulkaction",
                    ),
                ),
                (
                    "order",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orders.order",
                    ),
                ),
            ],
            options={
                "verbose_name": "order of a bulk action",
                "verbose_name_plural": "orders of bulk actions",
            },
        ),
        migrations.CreateModel(
            name="OperatorAction",
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
                ("token", models.UUIDField(editable=False, unique=True)),
                ("shell_user", models.CharField(blank=True, db_default="", max_length=150)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("retry", "retry now"),
                            ("cancel", "cancel"),
                            ("pause", "pause"),
                            ("resume", "resume"),
                            ("note", "note"),
                            ("export", "export"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reason", models.TextField(max_length=1000)),
                (
                    "outcome",
                    models.CharField(
                        choices=[("done", "Done"), ("refused", "Refused")], max_length=16
                    ),
                ),
                ("message", models.TextField()),
                ("before", models.CharField(blank=True, max_length=255)),
                ("after", models.CharField(blank=True, max_length=255)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "operator",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "order",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="operator_actions",
                        to="orders.order",
                    ),
                ),
            ],
            options={
                "verbose_name": "action on an order",
                "verbose_name_plural": "actions on orders",
                "permissions": [
                    ("retry_order", "Can retry an order now"),
                    ("cancel_order", "Can cancel and refund an order"),
                    ("pause_order", "Can pause an order, and resume one that staff paused"),
                    ("resume_unresolved_order", "Can resume an order that an invariant paused"),
                    ("note_order", "Can add a note to an order"),
                    ("export_orders", "Can export orders"),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="bulkaction",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True)),
                fields=["id"],
                name="desk_bulk_unfinished",
            ),
        ),
        migrations.AddConstraint(
            model_name="bulkaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["retry", "cancel", "pause", "resume", "note", "export"])
                ),
                name="desk_bulk_kind_known",
            ),
        ),
        migrations.AddIndex(
            model_name="bulkitem",
            index=models.Index(fields=["bulk", "outcome", "id"], name="desk_items_by_outcome"),
        ),
        migrations.AddConstraint(
            model_name="bulkitem",
            constraint=models.UniqueConstraint(
                fields=("bulk", "order"), name="desk_order_once_per_bulk"
            ),
        ),
        migrations.AddConstraint(
            model_name="bulkitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ["waiting", "done", "refused", "failed"])),
                name="desk_item_outcome_known",
            ),
        ),
        migrations.AddIndex(
            model_name="operatoraction",
            index=models.Index(fields=["order", "id"], name="desk_actions_by_order"),
        ),
        migrations.AddIndex(
            model_name="operatoraction",
            index=models.Index(fields=["operator", "id"], name="desk_actions_by_operator"),
        ),
        migrations.AddConstraint(
            model_name="operatoraction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["retry", "cancel", "pause", "resume", "note", "export"])
                ),
                name="desk_action_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="operatoraction",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ["done", "refused"])),
                name="desk_action_outcome_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="operatoraction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("operator__isnull", False), ("shell_user", "")),
                    models.Q(
                        ("operator__isnull", True), models.Q(("shell_user", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="desk_action_has_one_actor",
            ),
        ),
        migrations.RunSQL(APPEND_ONLY, DROP_APPEND_ONLY),
    ]
