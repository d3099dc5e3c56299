"""A disagreement between any two of the three ledgers is found, and named for what it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from proof.chaos.checker import Confirmable, Evidence, confirmable, findings
from proof.chaos.history import Conversation, Told
from proof.chaos.ledgers import Database, Ledgers, Order, Shelf
from proof.chaos.plan import Errand, Manner, Plan
from proof.chaos.report import Verdict, judge, promises
from proof.chaos.run import Outcome
from sandbox.drive.provider_ledger import LedgerPayment
from sandbox.drive.shop import Cart

SOLD, BACK, ABANDONED, REFUSED = range(4)


class Books:
    """Three ledgers that agree, to be spoilt: a confirmed order, a cancelled one, one that nobody
    heard of again, and one that was refused."""

    def __init__(self) -> None:
        cart = Cart((("MUG", 2), ("PEN", 1)), "pm_card_visa")
        self.errands = [
            Errand(SOLD, 0, cart, Manner.DOUBLE_CLICK, 0, None),
            Errand(BACK, 1, cart, Manner.PATIENT, 0, 3.0),
            Errand(ABANDONED, 2, cart, Manner.ABANDON, 0, None),
            Errand(REFUSED, 3, Cart((("NEVER-SOLD", 1),), "pm_card_visa"), Manner.PATIENT, 0, None),
        ]
        placed = {name: Told(name, "placed", "", 500) for name in ("sold", "back")}
        self.told = {
            SOLD: Conversation(
                placed={"sold": placed["sold"]},
                acked_at=0.1,
                ends=[placed["sold"]._replace(status="confirmed")],
            ),
            BACK: Conversation(
                placed={"back": placed["back"]},
                acked_at=1.1,
                asked_to_cancel=True,
                cancel_was_acked=True,
                ends=[placed["back"]._replace(status=end) for end in ("confirmed", "cancelled")],
            ),
            ABANDONED: Conversation(unknowns=1),
            REFUSED: Conversation(was_refused=True),
        }
        items = frozenset(cart.items)
        self.orders = {
            "sold": Order("confirmed", "", 500, items),
            "back": Order("cancelled", "cancelled_by_customer", 500, items),
            "gone": Order("confirmed", "", 500, items),
        }
        self.keys = {
            "order-0": "sold",
            "order-1": "back",
            "cancel-1": "back",
            "order-2": "gone",
        }
        self.shelves = {"MUG": Shelf(10, 4), "PEN": Shelf(10, 2)}
        self.sandbox_stripe = {
            "pi_1": LedgerPayment("sold", 0, 500, 1),
            "pi_2": LedgerPayment("back", 0, 0, 1),
            "pi_3": LedgerPayment("gone", 0, 500, 1),
        }

    def evidence(self) -> Evidence:
        database = Database(self.orders, self.keys, self.shelves)
        stock = {"MUG": 10, "PEN": 10}
        return Evidence(self.errands, self.told, Ledgers(database, self.sandbox_stripe), stock)

    def outcome(self, **changes: Any) -> Outcome:
        outcome = Outcome(self.evidence(), [], 5.0, [], {"invariant_checks": 12})
        return outcome._replace(**changes)

    def move(self, order: str, **changes: Any) -> "Books":
        self.orders[order] = self.orders[order]._replace(**changes)
        return self

    def charge(self, intent: str, **changes: Any) -> "Books":
        self.sandbox_stripe[intent] = self.sandbox_stripe[intent]._replace(**changes)
        return self

    def tell(self, errand: int, **changes: Any) -> "Books":
        self.told[errand] = replace(self.told[errand], **changes)
        return self


def told(order: str, status: str = "placed", total: int = 500) -> Told:
    return Told(order, status, "", total)


def lose_the_order(books: Books) -> None:
    books.tell(SOLD, placed={"lost": told("lost")}, ends=[])
    books.keys["order-0"] = "sold"


def sell_another_cart(books: Books) -> None:
    books.move("sold", items=frozenset({("MUG", 2), ("CUP", 1)}))
    books.shelves["PEN"] = Shelf(10, 1)


SPOILT: dict[str, tuple[Callable[[Books], object], set[tuple[str, str]]]] = {
    # The customer and the customer
    "two orders for one key": (
        lambda books: books.tell(SOLD, placed={"sold": told("sold"), "gone": told("gone")}),
        {("one key, several orders", "order-0"), ("key of another order", "gone")},
    ),
    "accepted and refused": (
        lambda books: books.tell(SOLD, was_refused=True),
        {("accepted and refused", "order-0"), ("refused without a reason", "order-0")},
    ),
    "never answered": (
        lambda books: books.tell(REFUSED, was_refused=False),
        {("no answer", "order-3")},
    ),
    "not found any more": (
        lambda books: books.tell(SOLD, unexpected=["look: 404"]),
        {("own order refused", "order-0")},
    ),
    # The customer and our database
    "a lost order": (lose_the_order, {("lost order", "lost")}),
    "a refused request that ordered": (
        lambda books: books.keys.update({"order-3": "sold"}),
        {
            ("refused, and ordered", "order-3"),
            ("another cart", "sold"),
            ("order of nobody", "sold"),
        },
    ),
    "another cart": (sell_another_cart, {("another cart", "sold")}),
    "another total": (
        lambda books: books.tell(SOLD, placed={"sold": told("sold", total=499)}),
        {("another total", "sold")},
    ),
    "cancelled in vain": (
        lambda books: (
            books.move("back", status="confirmed", reason=""),
            books.charge("pi_2", captured_minor=500),
            books.tell(BACK, ends=[told("back", "confirmed")]),
            books.shelves.update({"MUG": Shelf(10, 6), "PEN": Shelf(10, 3)}),
        ),
        {("cancelled in vain", "back")},
    ),
    "an end that changed": (
        lambda books: books.tell(BACK, asked_to_cancel=False, cancel_was_acked=False),
        {("end that changed", "back"), ("cancelled without a reason", "back")},
    ),
    "cancelled for no reason": (
        lambda books: books.move("back", reason="out_of_stock"),
        {("cancelled without a reason", "back")},
    ),
    "confirmed on a card that declines": (
        lambda books: books.errands.__setitem__(
            SOLD,
            books.errands[SOLD]._replace(
                cart=books.errands[SOLD].cart._replace(payment_method="pm_card_chargeDeclined")
            ),
        ),
        {("confirmed without money", "sold")},
    ),
    "an order that nobody asked for": (
        lambda books: books.keys.pop("order-2"),
        {("order of nobody", "gone")},
    ),
    "an order without an end": (
        lambda books: (
            books.move("gone", status="cancelling"),
            books.charge("pi_3", captured_minor=0),
            books.shelves.update({"MUG": Shelf(10, 2), "PEN": Shelf(10, 1)}),
        ),
        {("no end", "gone")},
    ),
    # Our database and the bank
    "a ghost charge": (
        lambda books: (
            books.charge("pi_2", captured_minor=500),
            books.tell(BACK, ends=[told("back", "confirmed")]),
        ),
        {("ghost charge", "back")},
    ),
    "money still held for a cancelled order": (
        lambda books: (
            books.charge("pi_2", held_minor=500),
            books.tell(BACK, ends=[told("back", "confirmed")]),
        ),
        {("ghost charge", "back")},
    ),
    "a confirmed order without money": (
        lambda books: books.charge("pi_3", captured_minor=0),
        {("wrong sum", "gone")},
    ),
    "money that was never captured": (
        lambda books: books.charge("pi_3", captured_minor=0, held_minor=500),
        {("wrong sum", "gone")},
    ),
    "charged twice": (
        lambda books: books.sandbox_stripe.update({"pi_4": LedgerPayment("gone", 0, 0, 1)}),
        {("charged twice", "gone")},
    ),
    "money without an order": (
        lambda books: books.sandbox_stripe.update({"pi_4": LedgerPayment("stranger", 0, 500, 1)}),
        {("money without an order", "stranger")},
    ),
    # The customer and the bank: our database agrees with the bank, and both are wrong
    "told cancelled, and charged": (
        lambda books: (
            books.tell(ABANDONED, ends=[told("gone", "cancelled")], asked_to_cancel=True),
            books.keys.update({"cancel-2": "gone"}),
        ),
        {("told cancelled, and charged", "gone"), ("end that changed", "gone")},
    ),
    "told confirmed, and charged otherwise": (
        lambda books: (
            books.charge("pi_1", captured_minor=600),
            books.move("sold", total_minor=600),
            books.tell(SOLD, placed={"sold": told("sold", total=600)}),
        ),
        {("told confirmed, and charged otherwise", "sold")},
    ),
    # Our database and the shelves
    "stock that did not come back": (
        lambda books: books.shelves.update({"MUG": Shelf(10, 6)}),
        {("stock not conserved", "MUG")},
    ),
    "goods that vanished": (
        lambda books: books.shelves.update({"PEN": Shelf(9, 2)}),
        {("stock not conserved", "PEN")},
    ),
}


def test_ledgers_that_agree_pass() -> None:
    books = Books()

    report = judge(PLAN, books.outcome())

    assert report.findings == []
    assert report.verdict == Verdict.PASSED
    assert report.confirmable == Confirmable(orders=2, confirmed=2)


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_disagreement_is_found(spoilt: str) -> None:
    spoil, expected = SPOILT[spoilt]
    books = Books()

    spoil(books)

    found = findings(books.evidence())
    assert {(each.kind, each.subject) for each in found} == expected
    assert judge(PLAN, books.outcome()).verdict == Verdict.FINDING


@pytest.mark.parametrize("spoilt", SPOILT)
def test_every_finding_breaks_exactly_one_promise(spoilt: str) -> None:
    books = Books()
    SPOILT[spoilt][0](books)
    report = judge(PLAN, books.outcome())

    kept = promises(report)

    assert sum(each["broken"] for each in kept) == len(report.findings) > 0


def test_a_promise_that_was_kept_is_bounded_by_the_rule_of_three() -> None:
    kept = promises(judge(PLAN, Books().outcome()))

    assert {"promise": "every invariant", "broken": 0, "of": 12, "at_most": 0.25} in kept
    assert {"promise": "no ghost charge", "broken": 0, "of": 3, "at_most": 1.0} in kept


def test_selling_more_than_there_was_is_found_even_where_the_levels_agree() -> None:
    books = Books()
    evidence = books.evidence()._replace(stock={"MUG": 3, "PEN": 10})
    books.shelves["MUG"] = Shelf(3, 4)

    found = findings(evidence)

    assert [(each.kind, each.subject) for each in found] == [("oversold", "MUG")]


def test_what_did_not_end_and_what_the_application_found_are_findings() -> None:
    outcome = Books().outcome(unfinished=["checkout of x"], broken=[("at the end", "M1")])

    report = judge(PLAN, outcome)

    assert [(each.kind, each.detail) for each in report.findings] == [
        ("not ended", "checkout of x"),
        ("invariants broken", "M1"),
    ]
    assert report.verdict == Verdict.FINDING


def test_a_run_with_too_few_confirmed_orders_is_invalid_and_not_passed() -> None:
    books = Books()
    books.move("gone", status="cancelled", reason="authorize_payment_unanswered")
    books.charge("pi_3", captured_minor=0)
    books.shelves.update({"MUG": Shelf(10, 2), "PEN": Shelf(10, 1)})

    report = judge(PLAN, books.outcome())

    assert report.findings == []
    assert report.confirmable == Confirmable(orders=2, confirmed=1)
    assert report.verdict == Verdict.INVALID


def test_a_run_without_orders_is_invalid() -> None:
    assert not confirmable(Books().evidence()._replace(errands=[])).is_enough


@pytest.mark.parametrize(("confirmed", "enough"), [(59, False), (60, True)])
def test_sixty_of_a_hundred_are_enough(confirmed: int, *, enough: bool) -> None:
    assert Confirmable(orders=100, confirmed=confirmed).is_enough == enough


PLAN = Plan(seed=1, seconds=60, errands=(), actions=(), stock={})
