"""What tests do at the desk: lists read, forms filled in, staff who may do some things and not others."""

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
from tests.support.storefront_client import everything

ORDERS = "/admin/orders/order/"


def found(desk: Client, query: str = "") -> list[UUID]:
    """The orders on the list's page, from the top."""
    response = desk.get(f"{ORDERS}{query}")
    assert response.status_code == 200
    return [order.pk for order in response.context["cl"].result_list]


def page_of(desk: Client, order_id: UUID) -> str:
    """One order's page, without the blanks that markup has."""
    response = desk.get(f"{ORDERS}{order_id}/change/")
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def address(order_id: UUID, kind: str) -> str:
    return f"{ORDERS}{order_id}/act/{kind}/"


def token_of(desk: Client, path: str) -> str:
    """The token of the form that the desk shows."""
    return str(desk.get(path).context["form"].initial["token"])


def act(
    desk: Client, order_id: UUID, kind: str, reason: str = "She called.", token: object = None
) -> Any:
    """Send the form of an act, and follow to what it leads to."""
    sent = {"reason": reason, "token": str(token or uuid4())}
    return desk.post(address(order_id, kind), sent, follow=True)


def told(answer: HttpResponseBase) -> list[str]:
    """The messages of a page."""
    return [str(each) for each in answer.context["messages"]]  # type: ignore[attr-defined]  # of the test client


def actions() -> list[tuple[str, str, str]]:
    """Every audit row: who, what, and what came of it."""
    rows = OperatorAction.objects.order_by("pk")
    return list(rows.values_list("operator__username", "kind", "outcome"))


def run_of(order_id: UUID) -> SagaRun:
    return SagaRun.objects.get(subject_id=order_id, saga="checkout")


def rows_changed_since(before: dict[str, list[Any]]) -> set[str]:
    """The tables that are not as they were."""
    after = everything()
    return {each for each in before if before[each] != after[each]}


def staff(name: str, permissions: Iterable[str] = ()) -> Client:
    """Somebody at the desk who may look at orders, and do what is named."""
    user = User.objects.create_user(name, is_staff=True)
    for each in ("orders.view_order", *permissions):
        app, codename = each.split(".")
        user.user_permissions.add(_permission(app, codename))
    client = Client()
    client.force_login(user)
    return client


def _permission(app: str, codename: str) -> Permission:
    model = {"orders": "order", "desk": "operatoraction"}[app]
    content_type, _ = ContentType.objects.get_or_create(app_label=app, model=model)
    return Permission.objects.get_or_create(
        codename=codename, content_type=content_type, defaults={"name": codename}
    )[0]
