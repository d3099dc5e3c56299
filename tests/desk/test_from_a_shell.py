"""``manage.py orders``: the desk's actions from a shell, with the same rules and audit rows."""

import json
import os
import pwd
import sys
from io import StringIO
from typing import Any, NoReturn
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test import Client

from access.os_user import user_of_this_shell
from desk.management.commands import orders as command
from desk.models import ActionKind, OperatorAction
from orders.models import Order, OrderTransition
from orders.services import cancel_order
from payments.models import Payment
from sagas.pause_reasons import PauseReason
from sagas.services import pause
from tests.support.database import all_rows
from tests.support.desk_actions import changed_tables, page_of, run_of
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront

UNKNOWN = "019aa3c0-5d2e-7c4a-9a53-7f0c7a1e6b11"


class Terminal(StringIO):
    """Standard input of a terminal on which this text was typed."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def alice_at_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getlogin", lambda: "alice")
    monkeypatch.setattr(sys, "stdin", StringIO())


def orders(*arguments: object) -> list[str]:
    """Run ``manage.py orders`` and return the printed lines."""
    printed = StringIO()
    call_command("orders", *map(str, arguments), stdout=printed)
    return printed.getvalue().splitlines()


def refused(*arguments: object) -> CommandError:
    with pytest.raises(CommandError) as raised:
        orders(*arguments)
    return raised.value


def rows() -> list[tuple[str, str, str]]:
    found = OperatorAction.objects.select_related("operator").order_by("pk")
    return [(row.actor, row.kind, row.outcome) for row in found]


def test_a_retry_from_a_shell_acts_and_audits_like_the_desk(
    waiting: UUID, messages: MessageQueue
) -> None:
    lines = orders("retry", waiting, "--reason", "The provider is back.")

    run = run_of(waiting)
    assert lines == [
        "Retry now: The back-off is cleared, and the run is queued.",
        f"order {waiting}, by shell:alice",
        "state: placed, at reserve_stock",
    ]
    assert (run.needs_attention, run.retry_count, run.not_before) == (False, 0, None)
    assert [message.run_id for message in messages.waiting] == [run.pk]
    row = OperatorAction.objects.get()
    assert (row.operator, row.actor, row.kind, row.outcome) == (
        None,
        "shell:alice",
        "retry",
        "done",
    )
    assert (row.order_id, row.reason) == (waiting, "The provider is back.")
    assert (row.before, row.after) == (
        "placed, at reserve_stock, flagged",
        "placed, at reserve_stock",
    )


def test_a_cancel_names_the_user_of_the_shell(waiting: UUID, messages: MessageQueue) -> None:
    orders("cancel", waiting, "--reason", "Fraud.")
    messages.deliver_all()

    order = Order.objects.get(pk=waiting)
    assert (order.status, order.reason) == ("cancelled", "cancelled_by_staff")
    assert OrderTransition.objects.get(order=waiting, target="cancelling").actor == "shell:alice"
    assert rows() == [("shell:alice", "cancel", "done")]


def test_a_shell_resumes_orders_that_staff_or_an_invariant_paused(
    waiting: UUID, messages: MessageQueue
) -> None:
    orders("pause", waiting, "--reason", "Bob looks.")
    reason = run_of(waiting).attention_reason
    orders("resume", waiting, "--reason", "Bob has looked.")
    assert pause(waiting, PauseReason.MONEY_IN_DOUBT, "0 held of 2500", "M6")
    orders("resume", waiting, "--reason", "The provider's records agree.")

    assert reason == "paused by shell:alice: Bob looks."
    assert run_of(waiting).paused_at is None
    assert [row[1:] for row in rows()] == [
        ("pause", "done"),
        ("resume", "done"),
        ("resume", "done"),
    ]


def test_a_note_is_in_the_timeline_at_the_desk(desk: Client, waiting: UUID) -> None:
    orders("note", waiting, "--reason", "Called her; no answer.")

    page = page_of(desk, waiting)
    assert "Called her; no answer." in page
    assert "shell:alice" in page
    audit = desk.get("/admin/desk/operatoraction/", {"q": "shell:alice"}).content.decode()
    assert "Called her; no answer." in audit


@pytest.mark.parametrize("kind", ["retry", "pause", "resume"])
def test_a_refusal_has_the_desks_message_and_an_audit_row(
    confirmed: UUID, messages: MessageQueue, kind: str
) -> None:
    before = all_rows()

    error = refused(kind, confirmed, "--reason", "Why not.")

    row = OperatorAction.objects.get()
    assert str(error).endswith(f" was refused: {row.message}")
    assert error.returncode == 1
    assert rows() == [("shell:alice", kind, "refused")]
    assert row.before == row.after == "confirmed"
    assert changed_tables(before) == {"desk.OperatorAction"}
    assert messages.waiting == []


def test_a_second_cancel_changes_nothing(waiting: UUID, messages: MessageQueue) -> None:
    orders("cancel", waiting, "--reason", "Fraud.")
    before = run_of(waiting)

    error = refused("cancel", waiting, "--reason", "Fraud.")

    assert "The order is already being cancelled." in str(error)
    assert run_of(waiting).compensation_requested_at == before.compensation_requested_at
    assert len(messages.waiting) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "--reason is required; it is stored with your name"),
        (("--reason", ""), "--reason: This field is required."),
        (("--reason", "  "), "--reason: This field is required."),
        (
            ("--reason", "x" * 1001),
            "--reason: Ensure this value has at most 1000 characters (it has 1001).",
        ),
    ],
)
def test_an_action_without_a_valid_reason_is_refused(
    waiting: UUID, messages: MessageQueue, given: tuple[str, ...], message: str
) -> None:
    before = all_rows()

    error = refused("retry", waiting, *given)

    assert (str(error), error.returncode) == (message, 2)
    assert changed_tables(before) == set()
    assert messages.waiting == []


def test_on_a_terminal_the_command_explains_the_action_and_asks_for_the_reason(
    waiting: UUID, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("She called.\n"))

    lines = orders("cancel", waiting)

    assert lines[:2] == [
        f"Cancel and refund: order {waiting} of alice",
        "state: placed, at reserve_stock, flagged",
    ]
    assert "This cannot be reversed." in " ".join(lines)
    assert OperatorAction.objects.get().reason == "She called."


def test_ctrl_d_instead_of_a_reason_changes_nothing(
    waiting: UUID, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))  # Ctrl-D

    error = refused("cancel", waiting)

    assert (str(error), error.returncode) == ("--reason: This field is required.", 2)
    assert rows() == []


def test_a_broken_connection_is_not_reported_as_a_locked_order(
    waiting: UUID, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_action: object) -> NoReturn:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(command, "perform", fail)

    with pytest.raises(OperationalError, match="the connection is closed"):
        orders("retry", waiting, "--reason", "Now.")


def test_orders_are_found_by_every_kind_of_id(
    confirmed: UUID, waiting: UUID, messages: MessageQueue
) -> None:
    Order.objects.filter(pk=confirmed).update(reference="cart-17")
    payment_id = Payment.objects.get(order_id=confirmed).provider_payment_id
    cancel_order(confirmed, reason="cancelled_by_customer", actor="alice")
    messages.deliver_all()
    refund_id = Payment.objects.get(order_id=confirmed).refunds.get().provider_refund_id

    for term in (
        confirmed,
        str(confirmed)[:23],
        run_of(confirmed).pk,
        "cart-17",
        payment_id,
        refund_id,
    ):
        assert orders("show", term)[0].startswith(f"order {confirmed}: "), term


@pytest.mark.parametrize("term", ["alice", "TEE", "cart-17", "pi_unknown", "", " ", UNKNOWN])
def test_a_term_that_matches_no_order_is_refused(
    waiting: UUID, messages: MessageQueue, term: str
) -> None:
    """Customers' names and SKUs are no ids, even if only one order has them now."""
    error = refused("cancel", term, "--reason", "Fraud.")

    assert str(error).startswith(f"{term!r} matches no order. ")
    assert error.returncode == 1
    assert rows() == []
    assert run_of(waiting).compensation_requested_at is None


def test_an_ambiguous_term_is_refused_and_the_orders_are_listed(
    storefront: Storefront, confirmed: UUID, waiting: UUID
) -> None:
    guest = Order.objects.get(pk=waiting)
    Order.objects.filter(pk=confirmed).update(reference="cart-17")
    Order.objects.filter(pk=guest.pk).update(
        reference="cart-17", customer=User.objects.create_user("bob")
    )

    error = refused("cancel", "cart-17", "--reason", "Fraud.")

    assert str(error).splitlines() == [
        "'cart-17' matches several orders:",
        f"  {confirmed}  alice, confirmed",
        f"  {waiting}  bob, placed",
    ]
    assert rows() == []


def test_show_prints_the_timeline_within_a_hundred_columns(
    storefront: Storefront, waiting: UUID
) -> None:
    orders("note", waiting, "--reason", "word " * 100)

    lines = orders("show", waiting)

    text = "\n".join(lines)
    assert max(map(len, lines)) <= 100
    assert lines[0] == f"order {waiting}: 25.00 EUR, for alice"
    assert lines[1] == f"run   {run_of(waiting).pk}: checkout, running"
    assert "state: placed, at reserve_stock, flagged" in lines
    assert "needs attention: 8 attempts" in lines
    assert "next: Tries stock reservation as soon as a worker takes it" in text
    assert text.count("word") == 100
    assert "by shell:alice" in text


def test_show_prints_json(confirmed: UUID) -> None:
    shown: dict[str, Any] = json.loads("".join(orders("show", confirmed, "--json")))

    assert (shown["id"], shown["status"], shown["customer"]) == (
        str(confirmed),
        "confirmed",
        "alice",
    )
    assert shown["runs"] == [str(run_of(confirmed).pk)]
    assert shown["timeline"][0]["title"] == "placed"
    assert {entry["kind"] for entry in shown["timeline"]} >= {
        "order",
        "step",
        "to payment provider",
        "event",
    }


def test_an_order_that_stays_locked_is_not_changed(waiting: UUID, messages: MessageQueue) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        other = connection.copy()
        try:
            cursor.execute("SET LOCAL lock_timeout = '200ms'")
            with other.cursor() as locker:
                locker.execute("BEGIN")
                locker.execute("SELECT 1 FROM sagas_sagarun FOR UPDATE")
                error = refused("retry", waiting, "--reason", "Now.")
        finally:
            other.close()

    assert "Nothing was changed; try again." in str(error)
    assert rows() == []
    assert messages.waiting == []


def test_an_audit_row_has_exactly_one_actor(grace: User, waiting: UUID) -> None:
    def write(**actor: object) -> None:
        with transaction.atomic():
            OperatorAction.objects.create(
                token=uuid4(), kind=ActionKind.NOTE, order_id=waiting, reason="x", **actor
            )

    for actor in ({}, {"operator": grace, "shell_user": "shell:alice"}):
        with pytest.raises(IntegrityError, match="desk_action_has_one_actor"):
            write(**actor)

    assert rows() == []


def test_without_a_login_the_shell_user_is_the_user_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_login() -> NoReturn:
        raise OSError("no login")

    monkeypatch.setattr(os, "getlogin", no_login)

    assert user_of_this_shell().name == pwd.getpwuid(os.getuid()).pw_name


def test_a_shell_user_without_a_name_has_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_login() -> NoReturn:
        raise OSError("no login")

    monkeypatch.setattr(os, "getlogin", no_login)
    monkeypatch.setattr(os, "getuid", lambda: 987_654_321)

    assert user_of_this_shell().name == "987654321"
