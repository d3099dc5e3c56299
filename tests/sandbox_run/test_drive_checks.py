"""The drive's checks find every fault that they look for."""

import json
from pathlib import Path

import pytest

from sandbox.drive.checks import (
    charged_once,
    events_relayed,
    no_ghost_charges,
    no_lost_orders,
    stock_conserved,
)
from sandbox.drive.provider_ledger import LedgerPayment, LedgerReader
from sandbox.drive.shop import ShopOrder, ShopProduct
from sandbox.reconciliation import statement
from sandbox.stripe_api.currencies import show_minor_units

PAID = ShopOrder("paid", "confirmed", "", 500, "eur", {"MUG": 2})
GONE = ShopOrder("gone", "cancelled", "payment_declined", 700, "eur", {"MUG": 3})
ORDERS = {PAID.id: PAID, GONE.id: GONE}

HELD = LedgerPayment("paid", held_minor=500, captured_minor=0, charges=1)
CAPTURED = LedgerPayment("paid", held_minor=0, captured_minor=500, charges=1)
REFUNDED = LedgerPayment("gone", held_minor=0, captured_minor=0, charges=1)


@pytest.mark.parametrize("intent", [HELD, CAPTURED])
def test_the_charge_of_a_confirmed_order_is_no_ghost_charge(intent: LedgerPayment) -> None:
    check = no_ghost_charges({"pi_1": intent, "pi_2": REFUNDED}, ORDERS)

    assert check.ok
    assert check.detail == "in minor units: 500 at Stripe, 500 owed by 1 orders"


@pytest.mark.parametrize(
    ("payments", "finding"),
    [
        ([CAPTURED, LedgerPayment("gone", 700, 0, 1)], "order gone: 700 at Stripe, 0 owed"),
        ([CAPTURED, LedgerPayment("gone", 0, 1, 1)], "order gone: 1 at Stripe, 0 owed"),
        ([CAPTURED, LedgerPayment("", 0, 9, 1)], "order (none): 9 at Stripe, 0 owed"),
        ([CAPTURED, HELD], "order paid: 1000 at Stripe, 500 owed"),
        ([LedgerPayment("paid", 0, 499, 1)], "order paid: 499 at Stripe, 500 owed"),
        ([], "order paid: 0 at Stripe, 500 owed"),
    ],
)
def test_every_ghost_charge_is_found(payments: list[LedgerPayment], finding: str) -> None:
    check = no_ghost_charges(
        {f"pi_{number}": payment for number, payment in enumerate(payments)}, ORDERS
    )

    assert not check.ok
    assert check.detail == finding


@pytest.mark.parametrize("charges", [0, 2])
def test_a_confirmed_order_has_exactly_one_charge(charges: int) -> None:
    check = charged_once({"pi_1": CAPTURED._replace(charges=charges)}, ORDERS)

    assert not check.ok
    assert check.detail == f"order paid (confirmed): {charges} charges"
    assert charged_once({"pi_1": CAPTURED, "pi_2": REFUNDED}, ORDERS).ok


def test_an_accepted_order_that_has_not_ended_is_lost() -> None:
    assert no_lost_orders(["paid", "gone"], ORDERS).ok
    assert not no_lost_orders(["paid", "missing", "gone"], ORDERS).ok
    assert no_lost_orders(["missing"], ORDERS).detail == "missing"


@pytest.mark.parametrize(("left", "ok"), [(8, True), (7, False), (9, False), (5, False)])
def test_stock_falls_exactly_by_the_quantities_of_confirmed_orders(left: int, ok: bool) -> None:  # noqa: FBT001 - a table of cases
    check = stock_conserved({"MUG": ShopProduct(250, 10)}, {"MUG": ShopProduct(250, left)}, ORDERS)

    assert check.ok is ok


def test_the_ledger_file_is_read_up_to_an_incomplete_line(tmp_path: Path) -> None:
    def intent(received: int, capturable: int) -> list[object]:
        fields = {"id": "pi_1", "currency": "eur", "metadata": {"order_id": "paid"}}
        return [
            "payment_intent",
            {**fields, "amount_received": received, "amount_capturable": capturable},
        ]

    def refund(number: int, amount: int, status: str) -> list[object]:
        fields = {"id": f"re_{number}", "payment_intent": "pi_1", "amount": amount}
        return ["refund", {**fields, "status": status}]

    charge = ["charge", {"id": "ch_1", "payment_intent": "pi_1", "status": "succeeded"}]
    declined = ["charge", {"id": "ch_2", "payment_intent": "pi_1", "status": "failed"}]
    lines = [
        {"at": 1, "changes": [intent(0, 500), charge, declined]},
        {"at": 2, "advanced_by": 60},
        {"at": 3, "changes": [intent(500, 0)]},
        {"at": 4, "changes": [refund(1, 100, "pending"), refund(2, 50, "pending")]},
        {"at": 5, "changes": [refund(2, 50, "failed")]},
    ]
    file = tmp_path / "ledger.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"at": 6, "chan')

    reader = LedgerReader(file)

    assert reader.read() == {"pi_1": LedgerPayment("paid", 0, 400, charges=1, refunded_minor=100)}
    with file.open("a") as ledger:
        ledger.write('ges": []}\n' + json.dumps({"at": 7, "changes": [refund(3, 400, "pending")]}))
    assert reader.read()["pi_1"].captured_minor == 400  # the line is not complete yet
    with file.open("a") as ledger:
        ledger.write("\n")
    assert reader.read() == {"pi_1": LedgerPayment("paid", 0, 0, charges=1, refunded_minor=500)}


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [
        ("eur", 500, "5.00"),
        ("jpy", 500, "500"),
        ("isk", 50_000, "500"),
        ("ugx", 50_000, "500"),
        ("mga", 5, "5.00"),
        ("bhd", 500, "0.500"),
    ],
)
def test_amounts_in_the_ledger_are_compared_in_minor_units(
    tmp_path: Path, currency: str, amount: int, shown: str
) -> None:
    """``amount`` is in Stripe's units, and 500 minor units in every currency."""

    def intent(number: int, **amounts: int) -> list[object]:
        fields = {
            "id": f"pi_{number}",
            "status": "succeeded",
            "currency": currency,
            "metadata": {"order_id": "paid", "installation_id": "shop"},
            "amount_capturable": 0,
            "amount_received": 0,
        }
        return ["payment_intent", {**fields, **amounts}]

    refund = {"id": "re_1", "payment_intent": "pi_2", "amount": amount, "status": "succeeded"}
    changes = [
        intent(1, amount_received=amount),
        intent(2, amount_received=amount),
        ["refund", refund],
        intent(3, amount_capturable=amount),
    ]
    file = tmp_path / "ledger.jsonl"
    file.write_text(json.dumps({"at": 1, "changes": changes}) + "\n")

    payments = LedgerReader(file).read()

    assert payments == {
        "pi_1": LedgerPayment("paid", held_minor=0, captured_minor=500, charges=0),
        "pi_2": LedgerPayment("paid", 0, 0, charges=0, refunded_minor=500),
        "pi_3": LedgerPayment("paid", held_minor=500, captured_minor=0, charges=0),
    }
    assert no_ghost_charges({"pi_1": payments["pi_1"]}, ORDERS).ok
    assert [
        (entry["held_minor"], entry["captured_minor"], entry["refunded_minor"])
        for entry in statement(file, "shop")
    ] == [(0, 500, 0), (0, 500, 500), (500, 0, 0)]
    assert show_minor_units(500, currency) == shown


ARRIVED = {
    "paid": ["order.placed", "stock.reserved", "order.confirmed"],
    "gone": ["order.placed", "order.cancelled"],
}


def test_all_events_arrived_if_each_order_has_its_first_and_its_last() -> None:
    check = events_relayed(ARRIVED, ORDERS)

    assert check.ok
    assert check.detail == "5 events of 2 orders arrived in order"


@pytest.mark.parametrize(
    ("arrived", "finding"),
    [
        ([], "no event"),
        (["order.placed", "stock.reserved"], "order.placed, stock.reserved"),
        (["order.confirmed"], "order.confirmed"),
        (["order.confirmed", "order.placed"], "order.confirmed, order.placed"),
        (
            ["order.placed", "order.confirmed", "order.confirmed"],
            "order.placed, order.confirmed, order.confirmed",
        ),
    ],
)
def test_every_event_that_did_not_arrive_is_found(arrived: list[str], finding: str) -> None:
    check = events_relayed({**ARRIVED, "paid": arrived}, ORDERS)

    assert not check.ok
    assert check.detail == f"order paid (confirmed): {finding}"
