"""Staff actions on one order: permissions, allowed states, idempotency, and the audit row."""

from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from desk import actions as desk_actions
from desk.models import OperatorAction
from desk.order_state import OrderState, order_state
from invariants.models import ReconciliationBreak
from orders.models import Order, OrderTransition
from orders.services import cancel_order
from sagas.models import SagaRun
from sagas.pause_reasons import PauseReason
from sagas.services import pause
from tests.support.database import all_rows
from tests.support.desk_actions import (
    action_url,
    audit_rows,
    changed_tables,
    messages_of,
    page_of,
    run_of,
    staff_client,
    submit_action,
    token_of,
)
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront
from tests.support.threads import meet_before, run_at_once

KINDS = ("retry", "cancel", "pause", "resume", "note")


def pause_by_invariant(order_id: UUID) -> None:
    """Pause the order and store the break in one transaction, as a check does."""
    with transaction.atomic():
        assert pause(order_id, PauseReason.MONEY_IN_DOUBT, "0 held of 2500", "M6")
        now = SagaRun.objects.get(subject_id=order_id).paused_at
        assert now is not None
        ReconciliationBreak.objects.create(
            code="M6", kind="money", subject=str(order_id), detail="0 held of 2500",
            first_seen=now, last_seen=now, order_paused_at=now,
        )  # fmt: skip


def test_retry_now_clears_the_back_off_and_queues_the_run(
    desk: Client, waiting: UUID, messages: MessageQueue
) -> None:
    later = timezone.now() + timedelta(hours=1)
    SagaRun.objects.filter(subject_id=waiting).update(not_before=later, wake_at=later)

    answer = submit_action(desk, waiting, "retry", "The provider is back.")

    run = run_of(waiting)
    assert messages_of(answer) == ["Retry now: The back-off is cleared, and the run is queued."]
    assert (run.needs_attention, run.retry_count, run.not_before) == (False, 0, None)
    assert [message.run_id for message in messages.waiting] == [run.pk]
    row = OperatorAction.objects.get()
    assert (row.actor, row.kind, row.outcome, row.reason, row.order_id) == (
        "grace",
        "retry",
        "done",
        "The provider is back.",
        waiting,
    )
    assert (row.before, row.after) == (
        "placed, at reserve_stock, flagged",
        "placed, at reserve_stock",
    )


def test_cancelling_a_placed_order_compensates_its_run(
    desk: Client, waiting: UUID, messages: MessageQueue
) -> None:
    submit_action(desk, waiting, "cancel", "Fraud, says Bob.")
    messages.deliver_all()

    order = Order.objects.get(pk=waiting)
    assert (order.status, order.reason) == ("cancelled", "cancelled_by_staff")
    assert OrderTransition.objects.get(order=waiting, target="cancelling").actor == "grace"
    assert audit_rows() == [("grace", "cancel", "done")]


def test_cancelling_a_confirmed_order_refunds_it(
    desk: Client, confirmed: UUID, messages: MessageQueue
) -> None:
    answer = submit_action(desk, confirmed, "cancel")
    messages.deliver_all()

    assert messages_of(answer) == [
        "Cancel and refund: The money is refunded, and the stock is available again."
    ]
    assert Order.objects.get(pk=confirmed).status == "cancelled"
    assert OperatorAction.objects.get().after.startswith("cancelling")


def test_the_customer_sees_no_reason_and_no_name_of_staff(
    desk: Client, storefront: Storefront, waiting: UUID, messages: MessageQueue
) -> None:
    submit_action(desk, waiting, "note", "Looks like a stolen card.")
    submit_action(desk, waiting, "pause", "Waiting for Bob.")
    submit_action(desk, waiting, "cancel", "Fraud, says Bob.")
    messages.deliver_all()

    seen = [
        storefront.get(f"/api/v1/orders/{waiting}").body,
        storefront.get(f"/api/v1/orders/{waiting}/timeline").body,
    ]

    assert seen[0]["status"] == "cancelled"
    assert "The shop cancelled this order." in str(seen)
    assert not [word for word in ("grace", "Bob", "stolen", "Fraud", "note") if word in str(seen)]


def test_a_pause_shows_actor_and_reason_until_staff_resume_the_order(
    desk: Client, waiting: UUID, messages: MessageQueue
) -> None:
    submit_action(desk, waiting, "pause", "Waiting for a call.")
    paused = run_of(waiting)
    assert paused.paused_at is not None
    assert paused.attention_reason == "paused by grace: Waiting for a call."
    assert "paused by grace: Waiting for a call." in page_of(desk, waiting)

    submit_action(desk, waiting, "resume", "She called.")

    run = run_of(waiting)
    assert (run.paused_at, run.needs_attention) == (None, False)
    assert [message.run_id for message in messages.waiting] == [run.pk]
    assert [row[1:] for row in audit_rows()] == [("pause", "done"), ("resume", "done")]


def test_only_finance_resumes_an_order_that_an_invariant_paused(
    content_types: None, waiting: UUID
) -> None:
    pause_by_invariant(waiting)
    operator = staff_client("olga", ["desk.pause_order"])
    finance = staff_client("frank", ["desk.resume_unresolved_order"])

    refused = submit_action(operator, waiting, "resume")
    was_paused = run_of(waiting).paused_at
    submit_action(finance, waiting, "resume", "The provider's records agree.")

    assert messages_of(refused)[0] == (
        "Resume was refused: An invariant paused the order (M6): its money is in doubt. A member of"
        " finance must check and resume it. It can also be cancelled."
    )
    assert was_paused is not None
    assert run_of(waiting).paused_at is None
    assert audit_rows() == [("olga", "resume", "refused"), ("frank", "resume", "done")]
    assert 'id="act-resume"' not in page_of(operator, waiting)


def test_the_permission_of_finance_does_not_resume_an_order_that_staff_paused(
    desk: Client, content_types: None, waiting: UUID
) -> None:
    submit_action(desk, waiting, "pause")

    answer = submit_action(
        staff_client("frank", ["desk.resume_unresolved_order"]), waiting, "resume"
    )

    assert messages_of(answer) == ["Resume was refused: frank may not resume orders."]
    assert run_of(waiting).paused_at is not None


def test_an_earlier_break_does_not_keep_an_operator_from_resuming_an_order_that_staff_paused(
    content_types: None, waiting: UUID
) -> None:
    pause_by_invariant(waiting)
    submit_action(staff_client("frank", ["desk.resume_unresolved_order"]), waiting, "resume")
    olga = staff_client("olga", ["desk.pause_order"])

    submit_action(olga, waiting, "pause")
    submit_action(olga, waiting, "resume")

    assert run_of(waiting).paused_at is None


@pytest.mark.parametrize("kind", ["retry", "pause", "resume"])
def test_a_confirmed_order_refuses_actions_and_says_what_to_do(
    desk: Client, confirmed: UUID, messages: MessageQueue, kind: str
) -> None:
    before = all_rows()

    answer = submit_action(desk, confirmed, kind)

    (message,) = messages_of(answer)
    assert "was refused: " in message
    assert "cancelled" in message or kind == "resume"
    assert changed_tables(before) <= {"desk.OperatorAction", "sessions.Session"}
    assert messages.waiting == []
    assert audit_rows() == [("grace", kind, "refused")]
    assert OperatorAction.objects.get().before == OperatorAction.objects.get().after == "confirmed"


@pytest.mark.parametrize("kind", ["retry", "cancel", "pause", "resume"])
def test_a_cancelled_order_refuses_all_actions_but_notes(
    desk: Client, confirmed: UUID, messages: MessageQueue, kind: str
) -> None:
    cancel_order(confirmed, reason="cancelled_by_customer", actor="alice")
    messages.deliver_all()
    before = all_rows()

    answer = submit_action(desk, confirmed, kind)

    assert "was refused: " in messages_of(answer)[0]
    assert changed_tables(before) <= {"desk.OperatorAction", "sessions.Session"}
    assert messages.waiting == []


def test_a_compensating_order_cannot_be_paused(desk: Client, confirmed: UUID) -> None:
    cancel_order(confirmed, reason="cancelled_by_customer", actor="alice")

    answer = submit_action(desk, confirmed, "pause")

    assert "Compensations are never paused." in messages_of(answer)[0]
    assert not SagaRun.objects.filter(paused_at__isnull=False).exists()


def test_an_order_with_a_requested_cancellation_cannot_be_paused(
    desk: Client, waiting: UUID, messages: MessageQueue
) -> None:
    submit_action(desk, waiting, "cancel")

    page = page_of(desk, waiting)
    answer = submit_action(desk, waiting, "pause")
    messages.deliver_all()

    assert 'id="act-pause"' not in page
    (message,) = messages_of(answer)
    assert message == (
        "Pause was refused: The order is being compensated, or is about to be. Compensations are never"
        " paused. Retry now speeds them up."
    )
    assert [row[1:] for row in audit_rows()] == [("cancel", "done"), ("pause", "refused")]
    run = run_of(waiting)
    assert (run.status, run.paused_at, run.needs_attention) == ("compensated", None, False)


def test_cancelling_a_paused_order_ends_the_pause(
    desk: Client, waiting: UUID, messages: MessageQueue
) -> None:
    submit_action(desk, waiting, "pause", "Waiting for a call.")
    submit_action(desk, waiting, "cancel", "She does not want it.")

    resumed = submit_action(desk, waiting, "resume")
    retried = submit_action(desk, waiting, "retry")
    messages.deliver_all()
    page = page_of(desk, waiting)

    assert "Resume was refused: The order is not paused." in messages_of(resumed)[0]
    assert messages_of(retried) == ["Retry now: The back-off is cleared, and the run is queued."]
    assert Order.objects.get(pk=waiting).status == "cancelled"
    assert 'role="alert"' not in page
    assert "paused by grace" not in page
    assert 'id="act-resume"' not in page


def test_a_paused_order_cannot_be_retried(
    desk: Client, waiting: UUID, messages: MessageQueue
) -> None:
    submit_action(desk, waiting, "pause")

    answer = submit_action(desk, waiting, "retry")

    assert "Resume it: it then continues at once." in messages_of(answer)[0]
    assert messages.waiting == []


def test_a_second_cancel_is_refused(desk: Client, waiting: UUID) -> None:
    submit_action(desk, waiting, "cancel")

    answer = submit_action(desk, waiting, "cancel")

    assert "The order is already being cancelled." in messages_of(answer)[0]
    assert [row[2] for row in audit_rows()] == ["done", "refused"]


def test_buttons_show_the_actions_that_permissions_and_state_allow(
    content_types: None, confirmed: UUID, waiting: UUID
) -> None:
    reader, operator = (
        staff_client("paul"),
        staff_client("olga", ["desk.retry_order", "desk.cancel_order"]),
    )

    def buttons(client: Client, order_id: UUID) -> list[str]:
        page = page_of(client, order_id)
        return [kind for kind in KINDS if f'id="act-{kind}"' in page]

    assert buttons(reader, waiting) == []
    assert buttons(operator, waiting) == ["retry", "cancel"]
    assert buttons(operator, confirmed) == ["cancel"]


@pytest.mark.parametrize("kind", KINDS)
def test_staff_with_only_the_view_permission_cannot_act(
    content_types: None, waiting: UUID, messages: MessageQueue, kind: str
) -> None:
    pause(waiting, PauseReason.MONEY_IN_DOUBT, "0 held of 2500", "M6")
    reader = staff_client("paul")
    before = all_rows()

    shown = reader.get(action_url(waiting, kind))
    done = reader.post(action_url(waiting, kind), {"reason": "x", "token": uuid4()})

    assert (shown.status_code, done.status_code) == (403, 403)
    assert changed_tables(before) <= {"sessions.Session"}
    assert messages.waiting == []


def test_staff_without_the_view_permission_cannot_act(desk: Client, waiting: UUID) -> None:
    client = staff_client("eve", ["desk.cancel_order"])
    User.objects.get(username="eve").user_permissions.remove(
        User.objects.get(username="eve").user_permissions.get(codename="view_order")
    )

    assert (
        client.post(action_url(waiting, "cancel"), {"reason": "x", "token": uuid4()}).status_code
        == 403
    )
    assert client.get(f"/admin/orders/order/{waiting}/content/").status_code == 403
    assert audit_rows() == []


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"reason": "", "token": str(uuid4())},
        {"reason": "   ", "token": str(uuid4())},
        {"reason": "x" * 1001, "token": str(uuid4())},
        {"reason": "a\x00b", "token": str(uuid4())},
        {"reason": "x"},
        {"reason": "x", "token": "1"},
    ],
)
def test_an_incomplete_form_changes_nothing(
    desk: Client, waiting: UUID, messages: MessageQueue, sent: dict[str, str]
) -> None:
    answer = desk.post(action_url(waiting, "cancel"), sent)

    assert answer.status_code == 400
    assert audit_rows() == []
    assert run_of(waiting).compensation_requested_at is None


@pytest.mark.parametrize("kind", ["delete", "export", "RETRY", "."])
def test_unknown_actions_and_orders_are_not_found(desk: Client, waiting: UUID, kind: str) -> None:
    assert desk.get(action_url(waiting, kind)).status_code == 404
    assert desk.get(action_url(uuid4(), "retry")).status_code == 404


def test_a_form_without_a_csrf_token_changes_nothing(grace: User, waiting: UUID) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(grace)

    answer = client.post(action_url(waiting, "cancel"), {"reason": "x", "token": uuid4()})

    assert answer.status_code == 403
    assert audit_rows() == []


def test_a_form_sent_twice_acts_once_and_shows_the_same_message(
    desk: Client, waiting: UUID, messages: MessageQueue
) -> None:
    token = token_of(desk, action_url(waiting, "cancel"))

    first, second = (submit_action(desk, waiting, "cancel", token=token) for _ in range(2))

    assert messages_of(first) == messages_of(second)
    assert audit_rows() == [("grace", "cancel", "done")]


def test_a_form_sent_twice_concurrently_acts_once_and_shows_the_same_message(
    grace: User, waiting: UUID, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(grace)
    # Both requests have found no earlier use of the token when they execute the action.
    execute = meet_before(desk_actions.execute, 2, kept_apart=False)
    monkeypatch.setattr(desk_actions, "execute", execute)
    token = uuid4()

    answers = run_at_once(
        *(partial(submit_action, client, waiting, "cancel", "Twice.", token) for client in clients)
    )

    assert [messages_of(answer) for answer in answers] == [  # type: ignore[arg-type]  # no exceptions
        [
            "Cancel and refund: The run compensates every step that was done, before it starts another one."
        ]
    ] * 2
    assert audit_rows() == [("grace", "cancel", "done")]
    assert len(messages.waiting) == 1


def test_a_token_is_valid_for_one_action_of_one_operator_on_one_order(
    desk: Client, confirmed: UUID, waiting: UUID
) -> None:
    token = uuid4()
    submit_action(desk, waiting, "note", "Mine.", token)

    other_action = desk.post(action_url(waiting, "cancel"), {"reason": "x", "token": token})
    other_order = desk.post(action_url(confirmed, "note"), {"reason": "x", "token": token})
    other_operator = staff_client("olga", ["desk.note_order"]).post(
        action_url(waiting, "note"), {"reason": "x", "token": token}
    )

    assert [answer.status_code for answer in (other_action, other_order, other_operator)] == [
        409,
        409,
        409,
    ]
    assert audit_rows() == [("grace", "note", "done")]


def test_an_order_that_stays_locked_is_not_changed(
    desk: Client, waiting: UUID, messages: MessageQueue
) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        other = connection.copy()
        try:
            cursor.execute("SET LOCAL lock_timeout = '200ms'")
            with other.cursor() as locker:
                locker.execute("BEGIN")
                locker.execute("SELECT 1 FROM sagas_sagarun FOR UPDATE")
                answer = desk.post(action_url(waiting, "cancel"), {"reason": "x", "token": uuid4()})
        finally:
            other.close()

    assert answer.status_code == 409
    assert "Nothing was changed; try again." in answer.content.decode()
    assert audit_rows() == []
    assert messages.waiting == []


def test_the_state_is_checked_while_the_run_is_locked(
    desk: Client, waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[bool] = []

    def read_and_note_lock(order_id: UUID) -> OrderState:
        locked.append(is_locked(order_id))
        return order_state(order_id)

    monkeypatch.setattr(desk_actions, "order_state", read_and_note_lock)
    submit_action(desk, waiting, "note")

    assert locked == [True, True]
    assert is_locked(waiting) is False


def test_audit_rows_cannot_be_changed_or_deleted(desk: Client, waiting: UUID) -> None:
    submit_action(desk, waiting, "note")
    rows = OperatorAction.objects.all()

    with pytest.raises(DatabaseError, match="never changed"):
        rows.update(reason="nothing")
    with pytest.raises(DatabaseError, match="never changed"):
        rows.delete()

    assert OperatorAction.objects.get().reason == "She called."


def test_staff_actions_are_listed(desk: Client, waiting: UUID) -> None:
    submit_action(desk, waiting, "note", "<i>Seen.</i>")

    page = desk.get("/admin/desk/operatoraction/").content.decode()

    assert "&lt;i&gt;Seen.&lt;/i&gt;" in page
    assert f"/admin/orders/order/{waiting}/change/" in page


def is_locked(order_id: UUID) -> bool:
    """Return whether another transaction has locked the order's run."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM sagas_sagarun WHERE subject_id = %s FOR NO KEY UPDATE NOWAIT",
                [order_id],
            )
    except DatabaseError:
        return True
    finally:
        other.close()
    return False
