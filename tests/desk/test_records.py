"""Rows that sagas, payments and the desk write: staff can read them, and cannot edit them."""

from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from desk.bulk import create_bulk_action
from desk.models import ActionKind
from orders.models import Order
from orders.saga import CHECKOUT
from sagas.identifiers import new_id
from sagas.models import SagaRun, SentSignal, VersionMove
from tests.support.database import all_rows
from tests.support.desk_actions import submit_action
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront

ORDERS = "/admin/orders/order/"
RUNS = "/admin/sagas/sagarun/"


@pytest.mark.parametrize("path", [ORDERS, RUNS, f"{ORDERS}1/change/", "/admin/"])
def test_anonymous_users_are_redirected_to_the_login(transactional_db: None, path: str) -> None:
    response = Client().get(path)

    assert (response.status_code, response.headers["Location"]) == (
        302,
        f"/admin/login/?next={path}",
    )


def test_customers_have_no_access_to_the_desk(storefront: Storefront) -> None:
    client = Client()
    client.force_login(storefront.customer)

    assert client.get(ORDERS).headers["Location"] == f"/admin/login/?next={ORDERS}"


def test_the_page_of_a_run_shows_its_journal(desk: Client, confirmed: UUID) -> None:
    run = SagaRun.objects.get()

    page = desk.get(f"{RUNS}{run.pk}/change/").content.decode()

    for step in CHECKOUT.steps:
        assert step.name in page


@pytest.mark.parametrize(
    "name",
    [
        "orders/order",
        "desk/operatoraction",
        "desk/bulkaction",
        "sagas/sagarun",
        "payments/payment",
        "inventory/reservation",
        "inventory/stockmovement",
        "events/outboxevent",
    ],
)
@pytest.mark.usefixtures("posted")
def test_nothing_can_be_edited(
    desk: Client, confirmed: UUID, messages: MessageQueue, name: str
) -> None:
    submit_action(desk, confirmed, "note")
    create_bulk_action(
        ActionKind.NOTE,
        User.objects.get(username="grace"),
        [confirmed],
        reason="Seen.",
        selection="one order",
        token=new_id(),
    )
    listed = desk.get(f"/admin/{name}/")
    row = listed.context["cl"].result_list[0]
    before = all_rows()

    added = desk.post(f"/admin/{name}/add/", {"status": "cancelled"})
    changed = desk.post(f"/admin/{name}/{row.pk}/change/", {"status": "cancelled"})
    deleted = desk.post(f"/admin/{name}/{row.pk}/delete/", {"post": "yes"})
    desk.post(
        f"/admin/{name}/",
        {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
    )

    assert listed.status_code == 200
    assert [answer.status_code for answer in (added, changed, deleted)] == [403, 403, 403]
    assert all_rows() == before
    assert messages.waiting == []


def test_redirects_to_pages_outside_the_desk_are_not_served(desk: Client, confirmed: UUID) -> None:
    orders = ContentType.objects.get_for_model(Order)

    answers = [desk.get(f"/admin/r/{orders.pk}/{key}/") for key in (confirmed, "1")]

    assert [answer.status_code for answer in answers] == [404, 404]


def test_the_page_of_a_run_shows_its_signals_and_moves(desk: Client, confirmed: UUID) -> None:
    run = SagaRun.objects.get()
    payload = {"shelf": "B <7>"}
    SentSignal.objects.create(run=run, name="packed", key="1", payload=payload, actor="grace")
    VersionMove.objects.create(run=run, from_version=1, to_version=2, renamed={"ship": "send"})

    page = desk.get(f"{RUNS}{run.pk}/change/").content.decode()

    for cell in ("packed", "<code>shelf: B &lt;7&gt;</code>", "grace", "<code>ship is send</code>"):
        assert cell in page
