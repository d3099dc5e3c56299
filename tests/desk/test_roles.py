"""The roles that ship: what each may do, and nothing else."""

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

SEE = {"orders.view_order", "sagas.view_sagarun", "payments.view_payment", "inventory.view_product"}
BY_NOBODY = {
    "orders.change_order",
    "orders.delete_order",
    "sagas.change_sagarun",
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
    permissions.ACT_IN_BULK: {"operator"},
    "inventory.adjust_stocklevel": {"operator"},
    "inventory.change_product": {"operator"},
    "inventory.add_product": {"operator"},
    "invariants.change_reconciliationbreak": {"finance"},
    **{each: {"viewer", "operator", "finance"} for each in SEE},
    **{each: set() for each in BY_NOBODY},
}


@pytest.fixture(autouse=True)
def known_permissions(transactional_db: None) -> None:
    """What migrations leave behind, and the flush after each test takes away."""
    ContentType.objects.clear_cache()
    for each in apps.get_app_configs():
        create_contenttypes(each, verbosity=0)
        create_permissions(each, verbosity=0)


def synchronise() -> str:
    said = StringIO()
    call_command("synchronise_roles", stdout=said)
    return said.getvalue()


def test_each_role_may_do_what_it_is_for_and_nothing_else() -> None:
    synchronise()
    staff = {}
    for role in ROLES:
        staff[role.name] = User.objects.create_user(role.name, is_staff=True)
        staff[role.name].groups.add(Group.objects.get(name=role.name))

    may = {
        each: {name for name, person in staff.items() if person.has_perm(each)} for each in MATRIX
    }

    assert may == MATRIX
    assert set(permissions.ALL) <= MATRIX.keys()


def test_a_viewer_only_views() -> None:
    assert {each.partition(".")[2].partition("_")[0] for each in VIEWER.permissions} == {"view"}


def test_again_changes_nothing() -> None:
    synchronise()

    assert synchronise().splitlines() == [f"{role.name}: 0 permissions added" for role in ROLES]


def test_what_a_shop_added_is_kept_and_what_it_took_comes_back() -> None:
    synchronise()
    viewer = Group.objects.get(name="viewer")
    own = Permission.objects.get(codename="change_warehouse")
    viewer.permissions.set([own])

    synchronise()

    held = set(viewer.permissions.values_list("codename", flat=True))
    assert held == {each.partition(".")[2] for each in VIEWER.permissions} | {"change_warehouse"}
