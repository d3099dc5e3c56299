"""The desk: staff find an order and read its whole story; nothing there can be edited."""

from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from orders.models import Order
from sagas.models import SagaRun
from sagas.services import freeze
from sandbox.stripe_process import SandboxServer
from tests.message_queue import MessageQueue
from tests.orders.storefront import Storefront, cart, everything

ORDERS = "/admin/orders/order/"
RUNS = "/admin/sagas/sagarun/"


@pytest.fixture
def content_types(transactional_db: None) -> None:
    """None are known: the cache outlives the rows, which are flushed after each test."""
    ContentType.objects.clear_cache()


@pytest.fixture
def desk(content_types: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("grace"))
    return client


@pytest.fixture
def confirmed(storefront: Storefront, bank: SandboxServer, messages: MessageQueue) -> UUID:
    order_id = storefront.order(cart(("MUG", 1))).order_id
    messages.deliver_all()
    return order_id


@pytest.fixture
def waiting(storefront: Storefront, confirmed: UUID) -> UUID:
    """An order that is not confirmed yet, and whose run waits for a person."""
    order_id = storefront.order(cart(("TEE", 1))).order_id
    runs = SagaRun.objects.filter(subject_id=order_id)
    assert runs.update(needs_attention=True, attention_reason="8 tries", tries=8) == 1
    return order_id


def found(desk: Client, query: str = "") -> set[UUID]:
    """The orders on the list's page."""
    response = desk.get(f"{ORDERS}{query}")
    assert response.status_code == 200
    return {order.pk for order in response.context["cl"].result_list}


@pytest.mark.parametrize("path", [ORDERS, RUNS, f"{ORDERS}1/change/", "/admin/"])
def test_strangers_are_sent_to_the_login(transactional_db: None, path: str) -> None:
    response = Client().get(path)

    assert (response.status_code, response.headers["Location"]) == (
        302,
        f"/admin/login/?next={path}",
    )


def test_customers_are_no_staff(storefront: Storefront) -> None:
    client = Client()
    client.force_login(storefront.customer)

    assert client.get(ORDERS).headers["Location"] == f"/admin/login/?next={ORDERS}"


def test_the_list_has_every_order(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    assert found(desk) == {confirmed, waiting}


@pytest.mark.parametrize(
    "query",
    ["?status__exact=placed", "?needs_attention=yes", "?q=TEE", "?status__exact=placed&q=alice"],
)
def test_the_list_can_be_narrowed(desk: Client, confirmed: UUID, waiting: UUID, query: str) -> None:
    assert found(desk, query) == {waiting}


def test_the_list_can_be_searched(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    assert found(desk, f"?q={confirmed}") == {confirmed}
    assert found(desk, "?q=alice") == {confirmed, waiting}
    assert found(desk, "?q=mallory") == set()
    assert found(desk, "?needs_attention=no") == {confirmed}


def test_an_order_has_its_whole_story(desk: Client, confirmed: UUID) -> None:
    page = desk.get(f"{ORDERS}{confirmed}/change/").content.decode()

    for told in (
        "MUG",
        "alice",
        "1000 eur (minor units)",
        "reserve_stock.done",
        "capture_payment.done",
        "payment.captured",
    ):
        assert told in page


def test_the_desk_reads_what_the_bank_said(
    desk: Client, storefront: Storefront, bank: SandboxServer, messages: MessageQueue
) -> None:
    body = cart(("MUG", 1), payment_method="pm_card_visa_chargeDeclinedStolenCard")
    order_id = storefront.order(body).order_id
    messages.deliver_all()

    page = desk.get(f"{ORDERS}{order_id}/change/").content.decode()

    assert "payment_refused stolen_card" in page
    assert "Your card was declined." in page


def test_what_a_story_tells_cannot_be_markup(desk: Client, confirmed: UUID) -> None:
    Order.objects.get().transitions.update(actor="<script>alert(1)</script>")

    page = desk.get(f"{ORDERS}{confirmed}/change/").content.decode()

    assert "<script>alert" not in page
    assert "asked by &lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_run_has_its_journal(desk: Client, confirmed: UUID) -> None:
    run = SagaRun.objects.get()

    page = desk.get(f"{RUNS}{run.pk}/change/").content.decode()

    for step in ("reserve_stock", "authorize_payment", "confirm_order", "capture_payment"):
        assert step in page


@pytest.mark.parametrize(
    "name",
    [
        "orders/order",
        "sagas/sagarun",
        "payments/payment",
        "inventory/reservation",
        "inventory/stockmovement",
        "events/outboxevent",
    ],
)
def test_nothing_can_be_edited(
    desk: Client, confirmed: UUID, messages: MessageQueue, name: str
) -> None:
    listed = desk.get(f"/admin/{name}/")
    row = listed.context["cl"].result_list[0]
    before = everything()

    added = desk.post(f"/admin/{name}/add/", {"status": "cancelled"})
    changed = desk.post(f"/admin/{name}/{row.pk}/change/", {"status": "cancelled"})
    deleted = desk.post(f"/admin/{name}/{row.pk}/delete/", {"post": "yes"})
    desk.post(
        f"/admin/{name}/",
        {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
    )

    assert listed.status_code == 200
    assert [each.status_code for each in (added, changed, deleted)] == [403, 403, 403]
    assert everything() == before
    assert messages.waiting == []


def test_retry_now_clears_the_flag_and_queues_the_run(
    desk: Client, waiting: UUID, messages: MessageQueue
) -> None:
    messages.drop_all()
    flagged = SagaRun.objects.get(subject_id=waiting)

    answer = desk.post(RUNS, {"action": "retry_now", "_selected_action": [flagged.pk]}, follow=True)

    run = SagaRun.objects.get(subject_id=waiting)
    assert [str(each) for each in answer.context["messages"]] == ["1 runs queued."]
    assert (run.needs_attention, run.attention_reason, run.tries) == (False, "", 0)
    assert [message.run_id for message in messages.waiting] == [run.pk]


def test_retry_now_leaves_a_run_that_has_ended_alone(
    desk: Client, confirmed: UUID, messages: MessageQueue
) -> None:
    ended = SagaRun.objects.get()
    before = everything()

    answer = desk.post(RUNS, {"action": "retry_now", "_selected_action": [ended.pk]}, follow=True)

    assert [str(each) for each in answer.context["messages"]] == ["0 runs queued."]
    assert everything() == before
    assert messages.waiting == []


def test_what_is_frozen_is_found_and_thawed(
    desk: Client, confirmed: UUID, waiting: UUID, messages: MessageQueue
) -> None:
    freeze(waiting, "M6: 0 held of 2500")
    frozen = SagaRun.objects.get(subject_id=waiting)

    narrowed = desk.get(f"{RUNS}?frozen_at__isempty=0").context["cl"].result_list
    answer = desk.post(RUNS, {"action": "thaw", "_selected_action": [frozen.pk]}, follow=True)

    run = SagaRun.objects.get(subject_id=waiting)
    assert [each.pk for each in narrowed] == [frozen.pk]
    assert [str(each) for each in answer.context["messages"]] == ["1 runs go on."]
    assert (run.frozen_at, run.needs_attention, run.attention_reason) == (None, False, "")
    said = LogEntry.objects.get()
    assert (said.user.username, said.object_id, said.change_message) == (
        "grace",
        str(run.pk),
        "thawed",
    )


def test_the_order_list_shows_what_is_frozen(desk: Client, confirmed: UUID, waiting: UUID) -> None:
    freeze(waiting, "M6: 0 held of 2500")

    assert found(desk, "?is_frozen=yes") == {waiting}
    assert found(desk, "?is_frozen=no") == {confirmed}
    assert "frozen: M6: 0 held of 2500" in desk.get(f"{ORDERS}{waiting}/change/").content.decode()


def test_an_order_is_thawed_from_its_list(
    desk: Client, confirmed: UUID, waiting: UUID, messages: MessageQueue
) -> None:
    freeze(waiting, "M6: 0 held of 2500")
    both = [confirmed, waiting]

    answer = desk.post(ORDERS, {"action": "thaw", "_selected_action": both}, follow=True)

    assert [str(each) for each in answer.context["messages"]] == ["1 orders go on."]
    assert not SagaRun.objects.filter(frozen_at__isnull=False).exists()
    assert LogEntry.objects.get().object_id == str(waiting)


@pytest.mark.parametrize("path", [ORDERS, RUNS])
def test_whoever_may_only_look_thaws_nothing(content_types: None, waiting: UUID, path: str) -> None:
    freeze(waiting, "M6: 0 held of 2500")
    reader = User.objects.create_user("paul", is_staff=True)
    reader.user_permissions.set(view_permissions())
    client = Client()
    client.force_login(reader)
    row = SagaRun.objects.get(subject_id=waiting)
    key = waiting if path == ORDERS else row.pk

    client.post(path, {"action": "thaw", "_selected_action": [key]})

    row.refresh_from_db()
    assert row.frozen_at is not None


def view_permissions() -> list[Permission]:
    return [
        Permission.objects.get_or_create(
            codename=f"view_{model._meta.model_name}",
            content_type=ContentType.objects.get_for_model(model),
            defaults={"name": "view"},
        )[0]
        for model in (Order, SagaRun)
    ]
