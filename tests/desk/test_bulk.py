"""Bulk actions: each order is processed once, also after a crash at any moment."""

from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from config.beat import SCHEDULE
from config.celery import app
from desk import bulk, bulk_views
from desk.actions import ActionRequest
from desk.actions import execute as execute_action
from desk.bulk import LEASE, MAX_FAILURES, create_bulk_action, process_slice, stop
from desk.models import ActionKind, BulkAction, BulkItem, OperatorAction
from orders.models import Order, OrderTransition
from sagas.identifiers import new_id
from sagas.models import SagaRun
from tests.support.database import all_rows
from tests.support.desk_actions import ORDERS, audit_rows, listed_orders, messages_of, staff_client
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart
from tests.support.threads import meet_before, run_at_once

BULKS = "/admin/desk/bulkaction/"


class Killed(BaseException):
    """Ends a worker in the middle of its work. No handler catches it."""


@pytest.fixture
def three(storefront: Storefront, posted: list[str], messages: MessageQueue) -> list[UUID]:
    """Three placed orders without a message, newest first."""
    ids = [storefront.order(cart(("TEE", 1))).order_id for _ in range(3)]
    messages.drop_all()
    return sorted(ids, reverse=True)


def process_all() -> bool:
    """Process all items, as a worker does whose slice is long enough for them on any machine."""
    return process_slice(seconds=60)


def bulk_of(grace: User, ids: list[UUID], kind: ActionKind = ActionKind.NOTE) -> BulkAction:
    return create_bulk_action(kind, grace, ids, reason="Seen.", selection="some", token=new_id())


def outcomes(bulk_action: BulkAction) -> list[str]:
    return list(bulk_action.items.order_by("pk").values_list("outcome", flat=True))


def expire_lease() -> None:
    BulkAction.objects.update(leased_until=F("leased_until") - 2 * LEASE)


def confirm_bulk_action(
    desk: Client, path: str, ids: list[UUID] | None = None, **changed: object
) -> Any:
    """Open the confirmation page, and send its form."""
    initial = desk.get(path).context["form"].initial
    sent = {"reason": "Provider outage.", "token": initial["token"], "counted": initial["counted"]}
    if ids is not None:
        sent["order"] = [str(order_id) for order_id in ids]
    return desk.post(path, {**sent, **changed})


def test_all_listed_orders_are_processed_in_the_background(
    desk: Client, confirmed: UUID, three: list[UUID], messages: MessageQueue, posted: list[str]
) -> None:
    path = f"{ORDERS}in-bulk/cancel/?status__exact=placed"

    shown = desk.get(path).content.decode()
    answer = confirm_bulk_action(desk, path)

    bulk_action = BulkAction.objects.get()
    assert "Cancel and refund: 3 orders" in shown
    assert "status: placed" in shown
    assert answer.headers["Location"] == f"{BULKS}{bulk_action.pk}/change/"
    assert (bulk_action.count, bulk_action.selection, bulk_action.reason) == (
        3,
        "status: placed",
        "Provider outage.",
    )
    assert posted == ["look"]
    assert audit_rows() == []

    assert process_all() is False
    messages.deliver_all()

    assert outcomes(bulk_action) == ["done"] * 3
    assert audit_rows() == [("grace", "cancel", "done")] * 3
    assert {order.status for order in Order.objects.filter(pk__in=three)} == {"cancelled"}
    assert Order.objects.get(pk=confirmed).status == "confirmed"
    bulk_action.refresh_from_db()
    assert bulk_action.ended_at is not None


def test_only_the_ticked_orders_are_processed(
    desk: Client, three: list[UUID], messages: MessageQueue
) -> None:
    ticked = three[:2]
    confirmation = desk.post(
        ORDERS, {"action": "note", "_selected_action": [str(order_id) for order_id in ticked]}
    )
    form = confirmation.context["form"].initial

    answer = desk.post(
        confirmation.context["form_url"],
        {"reason": "Seen.", "token": form["token"], "counted": 2, "order": ticked},
    )
    process_all()

    assert "Add note: 2 orders" in confirmation.content.decode()
    assert answer.status_code == 302
    assert sorted(OperatorAction.objects.values_list("order", flat=True)) == sorted(ticked)


def test_confirmation_pages_change_nothing(
    desk: Client, three: list[UUID], posted: list[str]
) -> None:
    before = all_rows()

    desk.get(f"{ORDERS}in-bulk/cancel/?status__exact=placed")
    desk.post(
        ORDERS, {"action": "cancel", "_selected_action": [str(order_id) for order_id in three]}
    )

    after = all_rows()
    assert {table for table in before if before[table] != after[table]} <= {"sessions.Session"}
    assert posted == []


def test_more_matching_orders_need_another_confirmation(
    desk: Client, storefront: Storefront, three: list[UUID]
) -> None:
    path = f"{ORDERS}in-bulk/cancel/?status__exact=placed"
    initial = desk.get(path).context["form"].initial
    storefront.order(cart(("TEE", 1)))

    answer = desk.post(path, {"reason": "x", "token": initial["token"], "counted": 3})

    assert answer.status_code == 409
    assert "Cancel and refund: 4 orders" in answer.content.decode()
    assert not BulkAction.objects.exists()


def test_a_form_sent_twice_creates_one_bulk_action(
    desk: Client, three: list[UUID], posted: list[str]
) -> None:
    path = f"{ORDERS}in-bulk/note/"
    token = uuid4()

    first, second = (confirm_bulk_action(desk, path, token=token) for _ in range(2))

    bulk_action = BulkAction.objects.get()
    assert (
        first.headers["Location"]
        == second.headers["Location"]
        == f"{BULKS}{bulk_action.pk}/change/"
    )
    assert bulk_action.items.count() == 3
    assert posted == ["look"]


def test_concurrent_forms_with_one_token_create_one_bulk_action(
    grace: User, three: list[UUID], posted: list[str]
) -> None:
    token = new_id()
    create = partial(
        create_bulk_action, ActionKind.NOTE, grace, three, reason="x", selection="all", token=token
    )

    first, second = run_at_once(create, create)

    assert isinstance(first, BulkAction)
    assert first == second
    assert BulkItem.objects.count() == 3
    assert posted == ["look"]


def test_a_selection_above_the_maximum_is_cut_and_the_page_says_so(
    desk: Client, three: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_views, "MAX_ORDERS", 2)
    path = f"{ORDERS}in-bulk/note/"

    shown = desk.get(path).content.decode()
    confirm_bulk_action(desk, path)

    assert "Add note: more than 2 orders" in shown
    assert list(BulkItem.objects.values_list("order", flat=True)) == three[:2]


def test_orders_in_another_state_are_refused_with_a_reason_and_the_others_are_done(
    desk: Client, grace: User, confirmed: UUID, three: list[UUID]
) -> None:
    bulk_action = bulk_of(grace, [confirmed, *three], ActionKind.RETRY)

    process_all()

    assert outcomes(bulk_action) == ["refused", "done", "done", "done"]
    page = desk.get(f"{BULKS}{bulk_action.pk}/change/").content.decode()
    progress = desk.get(f"{BULKS}{bulk_action.pk}/progress/").json()
    assert "every step is done. A confirmed order can be cancelled." in page
    assert progress["counts"] == {"waiting": 0, "done": 3, "refused": 1, "failed": 0}
    assert (progress["state"], progress["has_ended"]) == ("finished", True)
    assert [item["order"] for item in progress["not_done"]] == [str(confirmed)]


@pytest.mark.parametrize("dies_after_the_action", [False, True])
def test_after_a_crash_another_worker_processes_the_remaining_orders_once(
    grace: User,
    three: list[UUID],
    monkeypatch: pytest.MonkeyPatch,
    dies_after_the_action: bool,  # noqa: FBT001 - a case
) -> None:
    bulk_action = bulk_of(grace, three, ActionKind.PAUSE)

    def die_at_the_second_order(action: ActionRequest) -> OperatorAction:
        if action.order_id == three[1] and not dies_after_the_action:
            raise Killed
        row = execute_action(action)
        if action.order_id == three[1]:
            raise Killed
        return row

    monkeypatch.setattr(bulk, "execute", die_at_the_second_order)
    with pytest.raises(Killed):
        process_all()
    monkeypatch.undo()
    after_the_crash = outcomes(bulk_action)
    while_it_is_leased = process_all(), outcomes(bulk_action)
    expire_lease()
    process_all()

    assert after_the_crash == ["done", "waiting", "waiting"]
    assert while_it_is_leased == (False, after_the_crash)
    assert outcomes(bulk_action) == ["done"] * 3
    assert audit_rows() == [("grace", "pause", "done")] * 3
    assert SagaRun.objects.filter(paused_at__isnull=False).count() == 3


def test_two_workers_process_each_order_once(
    grace: User, three: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk_action = bulk_of(grace, three)
    taken: list[UUID] = []
    together = meet_before(execute_action, 2, kept_apart=False)

    def execute(action: ActionRequest) -> OperatorAction:
        taken.append(action.order_id)
        return together(action) if len(taken) <= 2 else execute_action(action)

    monkeypatch.setattr(bulk, "execute", execute)

    def process_without_lease() -> None:
        while bulk._process_next(bulk_action):
            pass

    run_at_once(process_without_lease, process_without_lease)

    assert sorted(taken) == sorted(three)
    assert outcomes(bulk_action) == ["done"] * 3
    assert sorted(OperatorAction.objects.values_list("order", flat=True)) == sorted(three)


@pytest.mark.parametrize("kind", [ActionKind.CANCEL, ActionKind.PAUSE])
def test_the_same_bulk_action_of_two_operators_is_done_once_for_each_order(
    grace: User, three: list[UUID], messages: MessageQueue, kind: ActionKind
) -> None:
    ada = User.objects.create_superuser("ada")
    bulks = [bulk_of(user, three, kind) for user in (grace, ada)]

    def process_without_lease(bulk_action: BulkAction) -> None:
        while bulk._process_next(bulk_action):
            pass

    run_at_once(partial(process_without_lease, bulks[0]), partial(process_without_lease, bulks[1]))
    messages.deliver_all()

    by_order = [sorted(pair) for pair in zip(*map(outcomes, bulks), strict=True)]
    assert by_order == [["done", "refused"]] * 3
    assert sorted(outcome for _, _, outcome in audit_rows()) == ["done"] * 3 + ["refused"] * 3
    transitions = OrderTransition.objects.filter(order__in=three, target="cancelling")
    assert transitions.count() == (3 if kind == ActionKind.CANCEL else 0)


def test_a_slice_ends_after_its_time_and_returns_whether_orders_are_left(
    grace: User, three: list[UUID]
) -> None:
    bulk_action = bulk_of(grace, three)

    more = process_slice(seconds=0)

    assert more is True
    assert outcomes(bulk_action) == ["done", "waiting", "waiting"]
    assert [process_slice(seconds=0) for _ in range(2)] == [True, False]
    assert outcomes(bulk_action) == ["done"] * 3


def test_bulk_actions_take_turns(grace: User, three: list[UUID]) -> None:
    first, second = bulk_of(grace, three), bulk_of(grace, three[:1])

    process_slice(seconds=0)
    process_slice(seconds=0)

    assert outcomes(first) == ["done", "waiting", "waiting"]
    assert outcomes(second) == ["done"]


def test_a_stopped_bulk_action_leaves_the_remaining_orders_unchanged(
    desk: Client, grace: User, three: list[UUID]
) -> None:
    bulk_action = bulk_of(grace, three)
    process_slice(seconds=0)

    stopped = desk.post(f"{BULKS}{bulk_action.pk}/stop/", follow=True)
    again = desk.post(f"{BULKS}{bulk_action.pk}/stop/", follow=True)
    process_all()

    assert messages_of(stopped) == [
        "Stopped. No further order is processed; finished orders are not reversed."
    ]
    assert messages_of(again) == ["The bulk action has already ended or been stopped."]
    assert outcomes(bulk_action) == ["done", "waiting", "waiting"]
    progress = desk.get(f"{BULKS}{bulk_action.pk}/progress/").json()
    assert (progress["state"], progress["has_ended"]) == ("stopped by grace", True)
    assert process_all() is False
    assert stop(bulk_action.pk, "grace") is False


def test_an_order_that_keeps_raising_fails_and_the_others_are_done(
    grace: User, three: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk_action = bulk_of(grace, three)
    tried: list[UUID] = []

    def raise_for_the_first_order(action: ActionRequest) -> OperatorAction:
        tried.append(action.order_id)
        row = execute_action(action)
        if action.order_id == three[0]:
            raise ValueError("an internal detail")
        return row

    monkeypatch.setattr(bulk, "execute", raise_for_the_first_order)
    process_all()

    assert outcomes(bulk_action) == ["failed", "done", "done"]
    assert tried.count(three[0]) == MAX_FAILURES
    assert (
        bulk_action.items.order_by("pk")[0].message == "Nothing was changed: ValueError, 3 times."
    )
    assert set(OperatorAction.objects.values_list("order", flat=True)) == set(three[1:])


def test_orders_are_refused_once_the_operator_has_lost_the_permission(
    grace: User, three: list[UUID]
) -> None:
    bulk_action = bulk_of(grace, three, ActionKind.CANCEL)
    User.objects.update(is_superuser=False)

    process_all()

    assert outcomes(bulk_action) == ["refused"] * 3
    assert bulk_action.items.all()[0].message == "grace may not cancel orders."
    assert {order.status for order in Order.objects.all()} == {"placed"}


def test_a_bulk_action_needs_both_permissions(
    content_types: None, grace: User, three: list[UUID]
) -> None:
    path = f"{ORDERS}in-bulk/cancel/"
    bulk_action = bulk_of(grace, three)
    for name, permissions in (
        ("paul", []),
        ("olga", ["desk.cancel_order"]),
        ("eve", ["desk.act_in_bulk"]),
    ):
        client = staff_client(name, permissions)
        sent = {"reason": "x", "token": uuid4(), "counted": 9}

        assert client.get(path).status_code == 403
        assert client.post(path, sent).status_code == 403
        assert client.post(f"{BULKS}{bulk_action.pk}/stop/").status_code == 403
        client.post(ORDERS, {"action": "cancel", "_selected_action": [str(three[0])]})
    assert BulkAction.objects.count() == 1
    assert staff_client("bob").get(f"{BULKS}{bulk_action.pk}/progress/").status_code == 403
    assert staff_client("ann").get(f"{BULKS}{bulk_action.pk}/change/").status_code == 403

    both = staff_client("olaf", ["desk.cancel_order", "desk.act_in_bulk"])
    assert both.get(path).status_code == 200


def test_a_get_does_not_stop_a_bulk_action(desk: Client, grace: User, three: list[UUID]) -> None:
    bulk_action = bulk_of(grace, three)

    assert desk.get(f"{BULKS}{bulk_action.pk}/stop/").status_code == 405
    bulk_action.refresh_from_db()
    assert bulk_action.stopped_at is None


@pytest.mark.parametrize("sent", [{}, {"reason": ""}, {"counted": "x"}, {"token": "1"}])
def test_an_incomplete_form_creates_no_bulk_action(
    desk: Client, three: list[UUID], sent: dict[str, str]
) -> None:
    complete = {"reason": "x", "token": str(uuid4()), "counted": "3"}
    body = {**complete, **sent} if sent else {}

    assert desk.post(f"{ORDERS}in-bulk/note/", body).status_code == 400
    assert not BulkAction.objects.exists()


def test_unknown_actions_filters_pages_and_ids_are_refused(desk: Client, three: list[UUID]) -> None:
    assert desk.get(f"{ORDERS}in-bulk/explode/").status_code == 404
    assert desk.get(f"{ORDERS}in-bulk/note/?customer__password=x").status_code == 400
    assert desk.get(f"{ORDERS}in-bulk/note/?p=9999").status_code == 404
    assert desk.get(f"{BULKS}{uuid4()}/progress/").status_code == 404
    assert desk.get(f"{BULKS}{uuid4()}/change/").status_code == 404
    assert desk.post(f"{ORDERS}in-bulk/note/", {"order": "1"}).status_code == 404


def test_beat_continues_a_bulk_action_whose_message_was_lost(
    grace: User, three: list[UUID]
) -> None:
    app.loader.import_default_modules()
    bulk_action = bulk_of(grace, three)
    (entry,) = (entry for entry in SCHEDULE if entry.task == "desk.process_bulk_actions")

    for _ in three:  # even on a slow machine each call processes one order
        app.tasks[entry.task].apply()

    assert outcomes(bulk_action) == ["done"] * 3


def test_a_leased_bulk_action_is_not_processed_by_a_second_worker(
    grace: User, three: list[UUID]
) -> None:
    bulk_action = bulk_of(grace, three)
    BulkAction.objects.update(leased_until=Now() + LEASE)

    assert process_all() is False
    assert outcomes(bulk_action) == ["waiting"] * 3


def test_the_list_links_to_bulk_actions_on_all_listed_orders(
    desk: Client, three: list[UUID]
) -> None:
    page = desk.get(f"{ORDERS}?status__exact=placed").content.decode()

    assert f"{ORDERS}in-bulk/retry/?status__exact=placed" in page
    assert listed_orders(desk, "?status__exact=placed") == three
