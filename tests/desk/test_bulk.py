"""One act on many orders: asked for once, done once each, resumed after a crash at any moment."""

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
from desk.actions import execute as really_execute
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
    """Ends a worker in the middle of its work, as nothing that it handles would."""


@pytest.fixture
def three(storefront: Storefront, posted: list[str], messages: MessageQueue) -> list[UUID]:
    """Orders that wait to be carried, newest first."""
    ids = [storefront.order(cart(("TEE", 1))).order_id for _ in range(3)]
    messages.drop_all()
    return sorted(ids, reverse=True)


def carry_all() -> bool:
    """Carry as a worker does whose slice is as long as three orders take on any machine."""
    return process_slice(seconds=60)


def bulk_of(grace: User, ids: list[UUID], kind: ActionKind = ActionKind.NOTE) -> BulkAction:
    return create_bulk_action(kind, grace, ids, reason="Seen.", selection="some", token=new_id())


def outcomes(made: BulkAction) -> list[str]:
    return list(made.items.order_by("pk").values_list("outcome", flat=True))


def let_the_lease_run_out() -> None:
    BulkAction.objects.update(leased_until=F("leased_until") - 2 * LEASE)


def confirm(desk: Client, path: str, ids: list[UUID] | None = None, **changed: object) -> Any:
    """Look at the confirmation page, and send its form."""
    initial = desk.get(path).context["form"].initial
    sent = {"reason": "Bank outage.", "token": initial["token"], "counted": initial["counted"]}
    if ids is not None:
        sent["order"] = [str(each) for each in ids]
    return desk.post(path, {**sent, **changed})


def test_all_that_a_filter_shows_are_acted_on_in_the_background(
    desk: Client, confirmed: UUID, three: list[UUID], messages: MessageQueue, posted: list[str]
) -> None:
    path = f"{ORDERS}in-bulk/cancel/?status__exact=placed"

    shown = desk.get(path).content.decode()
    answer = confirm(desk, path)

    made = BulkAction.objects.get()
    assert "Cancel and refund: 3 orders" in shown
    assert "status: placed" in shown
    assert answer.headers["Location"] == f"{BULKS}{made.pk}/change/"
    assert (made.count, made.selection, made.reason) == (3, "status: placed", "Bank outage.")
    assert posted == ["look"]
    assert audit_rows() == []

    assert carry_all() is False
    messages.deliver_all()

    assert outcomes(made) == ["done"] * 3
    assert audit_rows() == [("grace", "cancel", "done")] * 3
    assert {each.status for each in Order.objects.filter(pk__in=three)} == {"cancelled"}
    assert Order.objects.get(pk=confirmed).status == "confirmed"
    made.refresh_from_db()
    assert made.ended_at is not None


def test_the_ticked_orders_alone_are_acted_on(
    desk: Client, three: list[UUID], messages: MessageQueue
) -> None:
    ticked = three[:2]
    asked = desk.post(
        ORDERS, {"action": "note", "_selected_action": [str(each) for each in ticked]}
    )
    form = asked.context["form"].initial

    answer = desk.post(
        asked.context["address"],
        {"reason": "Seen.", "token": form["token"], "counted": 2, "order": ticked},
    )
    carry_all()

    assert "Add note: 2 orders" in asked.content.decode()
    assert answer.status_code == 302
    assert sorted(OperatorAction.objects.values_list("order", flat=True)) == sorted(ticked)


def test_asking_does_nothing_yet(desk: Client, three: list[UUID], posted: list[str]) -> None:
    before = all_rows()

    desk.get(f"{ORDERS}in-bulk/cancel/?status__exact=placed")
    desk.post(ORDERS, {"action": "cancel", "_selected_action": [str(each) for each in three]})

    after = all_rows()
    assert {each for each in before if before[each] != after[each]} <= {"sessions.Session"}
    assert posted == []


def test_orders_that_came_to_match_meanwhile_are_asked_about(
    desk: Client, storefront: Storefront, three: list[UUID]
) -> None:
    path = f"{ORDERS}in-bulk/cancel/?status__exact=placed"
    initial = desk.get(path).context["form"].initial
    storefront.order(cart(("TEE", 1)))

    answer = desk.post(path, {"reason": "x", "token": initial["token"], "counted": 3})

    assert answer.status_code == 409
    assert "Cancel and refund: 4 orders" in answer.content.decode()
    assert not BulkAction.objects.exists()


def test_a_double_click_begins_one(desk: Client, three: list[UUID], posted: list[str]) -> None:
    path = f"{ORDERS}in-bulk/note/"
    token = uuid4()

    first, second = (confirm(desk, path, token=token) for _ in range(2))

    made = BulkAction.objects.get()
    assert first.headers["Location"] == second.headers["Location"] == f"{BULKS}{made.pk}/change/"
    assert made.items.count() == 3
    assert posted == ["look"]


def test_two_clicks_at_one_moment_begin_one(
    grace: User, three: list[UUID], posted: list[str]
) -> None:
    token = new_id()
    click = partial(
        create_bulk_action, ActionKind.NOTE, grace, three, reason="x", selection="all", token=token
    )

    first, second = run_at_once(click, click)

    assert isinstance(first, BulkAction)
    assert first == second
    assert BulkItem.objects.count() == 3
    assert posted == ["look"]


def test_more_than_is_taken_at_a_time_is_said(
    desk: Client, three: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_views, "MAX_ORDERS", 2)
    path = f"{ORDERS}in-bulk/note/"

    shown = desk.get(path).content.decode()
    confirm(desk, path)

    assert "Add note: more than 2 orders" in shown
    assert list(BulkItem.objects.values_list("order", flat=True)) == three[:2]


def test_what_an_orders_state_forbids_is_refused_in_words_and_the_rest_is_done(
    desk: Client, grace: User, confirmed: UUID, three: list[UUID]
) -> None:
    made = bulk_of(grace, [confirmed, *three], ActionKind.RETRY)

    carry_all()

    assert outcomes(made) == ["refused", "done", "done", "done"]
    page = desk.get(f"{BULKS}{made.pk}/change/").content.decode()
    told_by_json = desk.get(f"{BULKS}{made.pk}/progress/").json()
    assert "every step is done. A confirmed order can be cancelled." in page
    assert told_by_json["counts"] == {"waiting": 0, "done": 3, "refused": 1, "failed": 0}
    assert (told_by_json["state"], told_by_json["has_ended"]) == ("finished", True)
    assert [each["order"] for each in told_by_json["not_done"]] == [str(confirmed)]


@pytest.mark.parametrize("dies_after_acting", [False, True])
def test_whoever_comes_after_a_crash_does_the_rest_and_nothing_twice(
    grace: User,
    three: list[UUID],
    monkeypatch: pytest.MonkeyPatch,
    dies_after_acting: bool,  # noqa: FBT001 - a case
) -> None:
    made = bulk_of(grace, three, ActionKind.PAUSE)

    def die_at_the_second(asked: ActionRequest) -> OperatorAction:
        if asked.order_id == three[1] and not dies_after_acting:
            raise Killed
        done = really_execute(asked)
        if asked.order_id == three[1]:
            raise Killed
        return done

    monkeypatch.setattr(bulk, "execute", die_at_the_second)
    with pytest.raises(Killed):
        carry_all()
    monkeypatch.undo()
    after_the_crash = outcomes(made)
    while_it_is_leased = carry_all(), outcomes(made)
    let_the_lease_run_out()
    carry_all()

    assert after_the_crash == ["done", "waiting", "waiting"]
    assert while_it_is_leased == (False, after_the_crash)
    assert outcomes(made) == ["done"] * 3
    assert audit_rows() == [("grace", "pause", "done")] * 3
    assert SagaRun.objects.filter(paused_at__isnull=False).count() == 3


def test_two_workers_do_each_order_once(
    grace: User, three: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bulk_of(grace, three)
    taken: list[UUID] = []
    together = meet_before(really_execute, 2, kept_apart=False)

    def execute(asked: ActionRequest) -> OperatorAction:
        taken.append(asked.order_id)
        return together(asked) if len(taken) <= 2 else really_execute(asked)

    monkeypatch.setattr(bulk, "execute", execute)

    def carry_regardless() -> None:
        while bulk._process_next(made):
            pass

    run_at_once(carry_regardless, carry_regardless)

    assert sorted(taken) == sorted(three)
    assert outcomes(made) == ["done"] * 3
    assert sorted(OperatorAction.objects.values_list("order", flat=True)) == sorted(three)


@pytest.mark.parametrize("kind", [ActionKind.CANCEL, ActionKind.PAUSE])
def test_of_two_operators_who_begin_the_same_one_has_each_order_done(
    grace: User, three: list[UUID], messages: MessageQueue, kind: ActionKind
) -> None:
    ada = User.objects.create_superuser("ada")
    bulks = [bulk_of(each, three, kind) for each in (grace, ada)]

    def carry(made: BulkAction) -> None:
        while bulk._process_next(made):
            pass

    run_at_once(partial(carry, bulks[0]), partial(carry, bulks[1]))
    messages.deliver_all()

    by_order = [sorted(each) for each in zip(*map(outcomes, bulks), strict=True)]
    assert by_order == [["done", "refused"]] * 3
    assert sorted(outcome for _, _, outcome in audit_rows()) == ["done"] * 3 + ["refused"] * 3
    moves = OrderTransition.objects.filter(order__in=three, target="cancelling")
    assert moves.count() == (3 if kind == ActionKind.CANCEL else 0)


def test_a_slice_ends_and_says_that_there_is_more(grace: User, three: list[UUID]) -> None:
    made = bulk_of(grace, three)

    more = process_slice(seconds=0)

    assert more is True
    assert outcomes(made) == ["done", "waiting", "waiting"]
    assert [process_slice(seconds=0) for _ in range(2)] == [True, False]
    assert outcomes(made) == ["done"] * 3


def test_bulk_actions_take_turns(grace: User, three: list[UUID]) -> None:
    first, second = bulk_of(grace, three), bulk_of(grace, three[:1])

    process_slice(seconds=0)
    process_slice(seconds=0)

    assert outcomes(first) == ["done", "waiting", "waiting"]
    assert outcomes(second) == ["done"]


def test_a_stop_leaves_the_rest_as_it_is(desk: Client, grace: User, three: list[UUID]) -> None:
    made = bulk_of(grace, three)
    process_slice(seconds=0)

    stopped = desk.post(f"{BULKS}{made.pk}/stop/", follow=True)
    again = desk.post(f"{BULKS}{made.pk}/stop/", follow=True)
    carry_all()

    assert messages_of(stopped) == ["Stopped. Finished orders stay as they are now."]
    assert messages_of(again) == ["It has ended, or was stopped before."]
    assert outcomes(made) == ["done", "waiting", "waiting"]
    progress = desk.get(f"{BULKS}{made.pk}/progress/").json()
    assert (progress["state"], progress["has_ended"]) == ("stopped by grace", True)
    assert carry_all() is False
    assert stop(made.pk, "grace") is False


def test_what_raises_again_and_again_fails_alone(
    grace: User, three: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bulk_of(grace, three)
    tried: list[UUID] = []

    def trip(asked: ActionRequest) -> OperatorAction:
        tried.append(asked.order_id)
        done = really_execute(asked)
        if asked.order_id == three[0]:
            raise ValueError("a secret of the inside")
        return done

    monkeypatch.setattr(bulk, "execute", trip)
    carry_all()

    assert outcomes(made) == ["failed", "done", "done"]
    assert tried.count(three[0]) == MAX_FAILURES
    assert made.items.order_by("pk")[0].message == "Nothing was changed: ValueError, 3 times."
    assert set(OperatorAction.objects.values_list("order", flat=True)) == set(three[1:])


def test_whoever_lost_the_right_has_nothing_more_done(grace: User, three: list[UUID]) -> None:
    made = bulk_of(grace, three, ActionKind.CANCEL)
    User.objects.update(is_superuser=False)

    carry_all()

    assert outcomes(made) == ["refused"] * 3
    assert made.items.all()[0].message == "grace may not cancel orders."
    assert {each.status for each in Order.objects.all()} == {"placed"}


def test_acting_in_bulk_takes_both_permissions(
    content_types: None, grace: User, three: list[UUID]
) -> None:
    path = f"{ORDERS}in-bulk/cancel/"
    made = bulk_of(grace, three)
    for name, permissions in (
        ("paul", []),
        ("olga", ["desk.cancel_order"]),
        ("eve", ["desk.act_in_bulk"]),
    ):
        client = staff_client(name, permissions)
        sent = {"reason": "x", "token": uuid4(), "counted": 9}

        assert client.get(path).status_code == 403
        assert client.post(path, sent).status_code == 403
        assert client.post(f"{BULKS}{made.pk}/stop/").status_code == 403
        client.post(ORDERS, {"action": "cancel", "_selected_action": [str(three[0])]})
    assert BulkAction.objects.count() == 1
    assert staff_client("bob").get(f"{BULKS}{made.pk}/progress/").status_code == 403
    assert staff_client("ann").get(f"{BULKS}{made.pk}/change/").status_code == 403

    both = staff_client("olaf", ["desk.cancel_order", "desk.act_in_bulk"])
    assert both.get(path).status_code == 200


def test_a_get_stops_nothing(desk: Client, grace: User, three: list[UUID]) -> None:
    made = bulk_of(grace, three)

    assert desk.get(f"{BULKS}{made.pk}/stop/").status_code == 405
    made.refresh_from_db()
    assert made.stopped_at is None


@pytest.mark.parametrize("sent", [{}, {"reason": ""}, {"counted": "x"}, {"token": "1"}])
def test_a_form_that_is_not_whole_begins_nothing(
    desk: Client, three: list[UUID], sent: dict[str, str]
) -> None:
    whole = {"reason": "x", "token": str(uuid4()), "counted": "3"}
    body = {**whole, **sent} if sent else {}

    assert desk.post(f"{ORDERS}in-bulk/note/", body).status_code == 400
    assert not BulkAction.objects.exists()


def test_an_address_that_is_made_up_leads_nowhere(desk: Client, three: list[UUID]) -> None:
    assert desk.get(f"{ORDERS}in-bulk/explode/").status_code == 404
    assert desk.get(f"{ORDERS}in-bulk/note/?customer__password=x").status_code == 400
    assert desk.get(f"{ORDERS}in-bulk/note/?p=9999").status_code == 404
    assert desk.get(f"{BULKS}{uuid4()}/progress/").status_code == 404
    assert desk.get(f"{BULKS}{uuid4()}/change/").status_code == 404
    assert desk.post(f"{ORDERS}in-bulk/note/", {"order": "1"}).status_code == 404


def test_beat_goes_on_with_what_a_lost_message_left(grace: User, three: list[UUID]) -> None:
    app.loader.import_default_modules()
    made = bulk_of(grace, three)
    (entry,) = (each for each in SCHEDULE if each.task == "desk.process_bulk_actions")

    for _ in three:  # however slow the machine is, it carries one each time
        app.tasks[entry.task].apply()

    assert outcomes(made) == ["done"] * 3


def test_what_is_carried_is_not_taken_up_by_a_second_worker(grace: User, three: list[UUID]) -> None:
    made = bulk_of(grace, three)
    BulkAction.objects.update(leased_until=Now() + LEASE)

    assert carry_all() is False
    assert outcomes(made) == ["waiting"] * 3


def test_the_list_offers_what_may_be_done_to_all_of_it(desk: Client, three: list[UUID]) -> None:
    page = desk.get(f"{ORDERS}?status__exact=placed").content.decode()

    assert f"{ORDERS}in-bulk/retry/?status__exact=placed" in page
    assert listed_orders(desk, "?status__exact=placed") == three
