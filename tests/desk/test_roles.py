"""The roles that ship have exactly these permissions."""

from io import StringIO

import pytest
from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command

from desk import permissions
from desk.roles import ROLES, VIEWER

pytestmark = pytest.mark.django_db(transaction=True)

VIEW = {
    "orders.view_order",
    "sagas.view_sagarun",
    "sagas.view_sentsignal",
    "sagas.view_versionmove",
    "payments.view_payment",
    "inventory.view_product",
    "approvals.view_approval",
}
IN_NO_ROLE = {
    "orders.change_order",
    "orders.delete_order",
    "sagas.change_sagarun",
    "approvals.change_approval",
    "payments.change_payment",
    "inventory.change_stocklevel",
    "inventory.add_stockmovement",
    "auth.change_user",
    "auth.change_group",
    "django_celery_beat.change_periodictask",
}
MATRIX = {
    permissions.RETRY: {"operator"},
    permissions.CANCEL: {"operator", "finance"},
    permissions.PAUSE: {"operator"},
    permissions.RESUME_UNRESOLVED: {"finance"},
    permissions.NOTE: {"operator", "finance"},
    permissions.EXPORT: {"finance"},
    permissions.DECIDE: {"operator", "finance"},
    permissions.EXTEND: {"operator", "finance"},
    permissions.SIGNAL: {"operator"},
    permissions.ACT_IN_BULK: {"operator"},
    "inventory.adjust_stocklevel": {"operator"},
    "inventory.change_product": {"operator"},
    "inventory.add_product": {"operator"},
    "invariants.change_reconciliationbreak": {"finance"},
    **{permission: {"viewer", "operator", "finance"} for permission in VIEW},
    **{permission: set() for permission in IN_NO_ROLE},
}


@pytest.fixture(autouse=True)
def known_permissions(transactional_db: None) -> None:
    """Create the rows that migrations create; the flush after each test deletes them."""
    ContentType.objects.clear_cache()
    for app_config in apps.get_app_configs():
        create_contenttypes(app_config, verbosity=0)
        create_permissions(app_config, verbosity=0)


def synchronise() -> str:
    output = StringIO()
    call_command("synchronise_roles", stdout=output)
    return output.getvalue()


def test_each_role_has_exactly_its_permissions() -> None:
    synchronise()
    staff = {}
    for role in ROLES:
        staff[role.name] = User.objects.create_user(role.name, is_staff=True)
        staff[role.name].groups.add(Group.objects.get(name=role.name))

    allowed = {
        permission: {name for name, user in staff.items() if user.has_perm(permission)}
        for permission in MATRIX
    }

    assert allowed == MATRIX
    assert set(permissions.ALL) <= MATRIX.keys()


def test_viewers_have_only_view_permissions() -> None:
    assert {
        permission.partition(".")[2].partition("_")[0] for permission in VIEWER.permissions
    } == {"view"}


def test_a_repeated_call_adds_nothing() -> None:
    synchronise()

    assert synchronise().splitlines() == [f"{role.name}: 0 permissions added" for role in ROLES]


def test_added_permissions_are_kept_and_removed_ones_are_added_again() -> None:
    synchronise()
    viewer = Group.objects.get(name="viewer")
    own = Permission.objects.get(codename="change_warehouse")
    viewer.permissions.set([own])

    synchronise()

    found = set(viewer.permissions.values_list("codename", flat=True))
    assert found == {permission.partition(".")[2] for permission in VIEWER.permissions} | {
        "change_warehouse"
    }
