"""Rows that other code writes do not change, whatever fields are posted to their pages."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_otp.plugins.otp_totp.models import TOTPDevice

from access.models import ApiToken
from desk.models import OperatorAction
from invariants.models import ReconciliationBreak
from inventory.models import Product, StockLevel, Warehouse
from sagas.models import SagaRun
from tests.support.database import all_rows
from tests.support.desk_actions import submit_action
from tests.support.staff_login import new_authenticator

WRITTEN_HERE: set[type[Model]] = {
    User,
    Group,
    Product,
    Warehouse,
    PeriodicTask,
    IntervalSchedule,
    ApiToken,  # only its revocation: tests/access/test_admin.py
    ReconciliationBreak,  # only its resolution: tests/invariants/test_admin.py
}
USERS = "/admin/auth/user/"


def rows() -> list[tuple[type[Model], Any]]:
    return [
        (model, model._default_manager.first())
        for model in admin.site._registry
        if model not in WRITTEN_HERE
    ]


def sent(row: Model) -> dict[str, str]:
    """Return another value for each field, and the parameters of saving, deleting and acting."""
    fields = {field.name: "7" for field in row._meta.get_fields()}
    return {**fields, "post": "yes", "_save": "Save", "on_hand": "999", "status": "cancelled"}


def test_rows_that_other_code_writes_cannot_be_edited(
    desk: Client, confirmed: UUID, waiting: UUID
) -> None:
    submit_action(desk, waiting, "note", "Called her.")
    found = [(model, row) for model, row in rows() if row is not None]
    before = all_rows()

    answers = {}
    for model, row in found:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for path in ("", "add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
            answers[base + path] = desk.post(base + path, sent(row)).status_code

    assert all_rows() == before
    assert {SagaRun, StockLevel, OperatorAction} <= {model for model, _ in found}
    assert 500 not in answers.values()


def test_a_superuser_resets_a_second_factor(desk: Client, grace: User) -> None:
    paul = User.objects.create_user("paul", is_staff=True)
    new_authenticator(paul)

    desk.post(USERS, {"action": "reset_second_factor", "_selected_action": [paul.pk]})

    assert TOTPDevice.objects.count() == 0


def test_staff_without_superuser_rights_reset_no_second_factor(grace: User) -> None:
    paul = User.objects.create_user("paul", is_staff=True)
    new_authenticator(grace)
    client = Client()
    client.force_login(paul)

    client.post(USERS, {"action": "reset_second_factor", "_selected_action": [grace.pk]})

    assert TOTPDevice.objects.count() == 1
