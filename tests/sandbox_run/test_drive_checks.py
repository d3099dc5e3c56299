"""The drive's checks find what they are there to find."""

import json
from pathlib import Path

import pytest

from sandbox.drive.checks import charged_once, no_ghost_charges, no_lost_orders, stock_conserved
from sandbox.drive.provider_ledger import BankBook, BankIntent
from sandbox.drive.shop import Order, Product

PAID = Order("paid", "confirmed", "", 500, {"MUG": 2})
GONE = Order("gone", "cancelled", "payment_declined", 700, {"MUG": 3})
ORDERS = {PAID.id: PAID, GONE.id: GONE}

HELD = BankIntent("paid", held_minor=500, taken_minor=0, charges=1)
TAKEN = BankIntent("paid", held_minor=0, taken_minor=500, charges=1)
GIVEN_BACK = BankIntent("gone", held_minor=0, taken_minor=0, charges=1)


@pytest.mark.parametrize("intent", [HELD, TAKEN])
def test_money_of_a_confirmed_order_is_no_ghost(intent: BankIntent) -> None:
    check = no_ghost_charges({"pi_1": intent, "pi_2": GIVEN_BACK}, ORDERS)

    assert check.ok
    assert check.detail == "in minor units: 500 at the bank, 500 for 1 orders"


@pytest.mark.parametrize(
    ("intents", "finding"),
    [
        ([TAKEN, BankIntent("gone", 700, 0, 1)], "order gone: 700 at the bank, 0 owed"),
        ([TAKEN, BankIntent("gone", 0, 1, 1)], "order gone: 1 at the bank, 0 owed"),
        ([TAKEN, BankIntent("", 0, 9, 1)], "order (none): 9 at the bank, 0 owed"),
        ([TAKEN, HELD], "order paid: 1000 at the bank, 500 owed"),
        ([BankIntent("paid", 0, 499, 1)], "order paid: 499 at the bank, 500 owed"),
        ([], "order paid: 0 at the bank, 500 owed"),
    ],
)
def test_every_ghost_is_found(intents: list[BankIntent], finding: str) -> None:
    check = no_ghost_charges({f"pi_{number}": each for number, each in enumerate(intents)}, ORDERS)

    assert not check.ok
    assert check.detail == finding


@pytest.mark.parametrize("charges", [0, 2])
def test_a_confirmed_order_has_exactly_one_charge(charges: int) -> None:
    check = charged_once({"pi_1": TAKEN._replace(charges=charges)}, ORDERS)

    assert not check.ok
    assert check.detail == f"order paid (confirmed): {charges} charges"
    assert charged_once({"pi_1": TAKEN, "pi_2": GIVEN_BACK}, ORDERS).ok


def test_an_accepted_order_without_an_end_is_lost() -> None:
    assert no_lost_orders(["paid", "gone"], ORDERS).ok
    assert not no_lost_orders(["paid", "missing", "gone"], ORDERS).ok
    assert no_lost_orders(["missing"], ORDERS).detail == "missing"


@pytest.mark.parametrize(("left", "ok"), [(8, True), (7, False), (9, False), (5, False)])
def test_only_what_confirmed_orders_bought_has_left_the_shelf(left: int, ok: bool) -> None:  # noqa: FBT001 - a table of cases
    check = stock_conserved({"MUG": Product(250, 10)}, {"MUG": Product(250, left)}, ORDERS)

    assert check.ok is ok


def test_the_bank_is_read_from_its_file_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    def intent(received: int, capturable: int) -> list[object]:
        fields = {"id": "pi_1", "metadata": {"order_id": "paid"}}
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

    book = BankBook(file)

    assert book.read() == {"pi_1": BankIntent("paid", 0, 400, charges=1, returned_minor=100)}
    with file.open("a") as ledger:
        ledger.write('ges": []}\n' + json.dumps({"at": 7, "changes": [refund(3, 400, "pending")]}))
    assert book.read()["pi_1"].taken_minor == 400  # its line has no end yet
    with file.open("a") as ledger:
        ledger.write("\n")
    assert book.read() == {"pi_1": BankIntent("paid", 0, 0, charges=1, returned_minor=500)}
