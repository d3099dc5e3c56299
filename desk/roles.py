"""The roles that ship: groups of staff with their permissions. They start without members."""

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from desk import permissions as orders

SEE_EVERYTHING: Final = (
    "orders.view_order",
    "orders.view_orderline",
    "orders.view_ordertransition",
    "sagas.view_sagarun",
    "sagas.view_stepattempt",
    "sagas.view_sentsignal",
    "sagas.view_versionmove",
    "approvals.view_approval",
    "payments.view_payment",
    "payments.view_refund",
    "inventory.view_product",
    "inventory.view_stocklevel",
    "inventory.view_stockmovement",
    "inventory.view_reservation",
    "inventory.view_warehouse",
    "events.view_outboxevent",
    "events.view_transportposition",
    "invariants.view_reconciliationbreak",
    "desk.view_operatoraction",
    "desk.view_bulkaction",
    "django_celery_beat.view_periodictask",
)


@dataclass(frozen=True, slots=True)
class Role:
    """A group and the permissions of its members."""

    name: str
    permissions: frozenset[str]


VIEWER: Final = Role("viewer", frozenset(SEE_EVERYTHING))
"""Members see everything and change nothing."""

OPERATOR: Final = Role(
    "operator",
    VIEWER.permissions
    | {orders.RETRY, orders.CANCEL, orders.PAUSE, orders.NOTE, orders.ACT_IN_BULK, orders.DECIDE}
    | {orders.EXTEND, orders.SIGNAL}
    | {"inventory.add_product", "inventory.change_product", "inventory.adjust_stocklevel"},
)
"""Members act on orders, products and stock, decide approvals, and help waiting orders on."""

FINANCE: Final = Role(
    "finance",
    VIEWER.permissions
    | {orders.CANCEL, orders.RESUME_UNRESOLVED, orders.NOTE, orders.EXPORT, orders.DECIDE}
    | {orders.EXTEND}
    | {"invariants.change_reconciliationbreak"},
)
"""Members handle money: refunds, orders that an invariant paused, breaks, exports, approvals and their deadlines."""

ROLES: Final = (VIEWER, OPERATOR, FINANCE)


@transaction.atomic
def synchronise() -> dict[str, frozenset[str]]:
    """Add each role's missing permissions, and return them by role.

    A repeated call changes nothing. Extra permissions of a role stay; removed ones are added again,
    so a shop that wants fewer creates its own group. Raises Permission.DoesNotExist for a permission that
    no migration created.
    """
    added: dict[str, frozenset[str]] = {}
    for role in ROLES:
        group, _ = Group.objects.get_or_create(name=role.name)
        existing = {f"{app}.{code}" for app, code in group.permissions.values_list(*_NATURAL)}
        missing = role.permissions - existing
        group.permissions.add(*(_permission(name) for name in sorted(missing)))
        added[role.name] = missing
    return added


_NATURAL: Final = ("content_type__app_label", "codename")


def _permission(name: str) -> Permission:
    app, _, code = name.partition(".")
    return Permission.objects.get(content_type__app_label=app, codename=code)
