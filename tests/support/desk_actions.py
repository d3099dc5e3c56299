"""What tests do at the desk: read lists and pages, send the forms of actions, log in as staff."""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.http import HttpResponseBase
from django.test import Client

from desk.models import OperatorAction
from sagas.models import SagaRun
from tests.support.database import all_rows

ORDERS = "/admin/orders/order/"


def listed_orders(desk: Client, query: str = "") -> list[UUID]:
    """Return the orders on a page of the order list, from the top."""
    response = desk.get(f"{ORDERS}{query}")
    assert response.status_code == 200
    return [order.pk for order in response.context["cl"].result_list]


def page_of(desk: Client, order_id: UUID) -> str:
    """Return one order's page with all white space collapsed."""
    response = desk.get(f"{ORDERS}{order_id}/change/")
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def action_url(order_id: UUID, kind: str) -> str:
    return f"{ORDERS}{order_id}/act/{kind}/"


def token_of(desk: Client, path: str) -> str:
    """Return the token of the form at ``path``, under which it is sent once."""
    return str(desk.get(path).context["form"].initial["token"])


def submit_action(
    desk: Client, order_id: UUID, kind: str, reason: str = "She called.", token: object = None
) -> Any:
    """Send the form of an action, and return the page that follows."""
    form = {"reason": reason, "token": str(token or uuid4())}
    return desk.post(action_url(order_id, kind), form, follow=True)


def messages_of(page: HttpResponseBase) -> list[str]:
    """Return the messages that a page shows."""
    return [str(message) for message in page.context["messages"]]  # type: ignore[attr-defined]  # of the test client


def audit_rows() -> list[tuple[str, str, str]]:
    """Return operator, kind and outcome of every recorded action, oldest first."""
    rows = OperatorAction.objects.order_by("pk")
    return list(rows.values_list("operator__username", "kind", "outcome"))


def run_of(order_id: UUID) -> SagaRun:
    return SagaRun.objects.get(subject_id=order_id, saga="checkout")


def changed_tables(before: dict[str, list[str]]) -> set[str]:
    """Return the tables whose rows are not those of ``all_rows`` before."""
    after = all_rows()
    return {table for table in before if before[table] != after[table]}


def staff_client(name: str, permissions: Iterable[str] = ()) -> Client:
    """Return a client logged in as staff who may view orders and have these permissions."""
    user = User.objects.create_user(name, is_staff=True)
    for permission in ("orders.view_order", *permissions):
        app, codename = permission.split(".")
        user.user_permissions.add(_permission(app, codename))
    client = Client()
    client.force_login(user)
    return client


def _permission(app: str, codename: str) -> Permission:
    model = {"orders": "order", "desk": "operatoraction", "approvals": "approval"}[app]
    content_type, _ = ContentType.objects.get_or_create(app_label=app, model=model)
    return Permission.objects.get_or_create(
        codename=codename, content_type=content_type, defaults={"name": codename}
    )[0]
