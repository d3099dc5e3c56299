"""The checker finds every disagreement between two of the three ledgers, and names its kind."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from proof.chaos.checker import Confirmable, Evidence, confirmable, findings
from proof.chaos.ledgers import Database, Ledgers, StockTotals, StoredOrder
from proof.chaos.plan import (
    LARGE_QUANTITY,
    CustomerAnswer,
    Plan,
    ShopDecision,
    SubmitStyle,
    Visit,
)
from proof.chaos.report import Verdict, judge, promises
from proof.chaos.request_log import CustomerResponses, OrderResponse
from proof.chaos.run import ChaosResult
from sandbox.drive.provider_ledger import LedgerPayment
from sandbox.drive.shop import Cart

CONFIRMED, CANCELLED, ABANDONED, REJECTED = range(4)
FINISH = CustomerAnswer.FINISH


class SampleLedgers:
    """Three ledgers that agree, for a test to change.

    They have a confirmed order, a cancelled one, one whose customer hung up before the response,
    and one that was rejected.
    """

    def __init__(self) -> None:
        cart = Cart((("MUG", 2), ("PEN", 1)), "pm_card_visa")
        unknown_product = Cart((("NEVER-SOLD", 1),), "pm_card_visa")
        self.visits = [
            Visit(CONFIRMED, 0, cart, SubmitStyle.DOUBLE_CLICK, 0, None),
            Visit(CANCELLED, 1, cart, SubmitStyle.PATIENT, 0, 3.0),
            Visit(ABANDONED, 2, cart, SubmitStyle.ABANDON, 0, None),
            Visit(REJECTED, 3, unknown_product, SubmitStyle.PATIENT, 0, None),
        ]
        placed = {
            name: OrderResponse(name, "placed", "", 500)
            for name in ("confirmed-order", "cancelled-order")
        }
        self.responses = {
            CONFIRMED: CustomerResponses(
                placed={"confirmed-order": placed["confirmed-order"]},
                acked_at=0.1,
                ends=[placed["confirmed-order"]._replace(status="confirmed")],
            ),
            CANCELLED: CustomerResponses(
                placed={"cancelled-order": placed["cancelled-order"]},
                acked_at=1.1,
                asked_to_cancel=True,
                cancel_was_acked=True,
                ends=[
                    placed["cancelled-order"]._replace(status=end)
                    for end in ("confirmed", "cancelled")
                ],
            ),
            ABANDONED: CustomerResponses(unknowns=1),
            REJECTED: CustomerResponses(was_rejected=True),
        }
        items = frozenset(cart.items)
        self.orders = {
            "confirmed-order": StoredOrder("confirmed", "", 500, items),
            "cancelled-order": StoredOrder("cancelled", "cancelled_by_customer", 500, items),
            "abandoned-order": StoredOrder("confirmed", "", 500, items),
        }
        self.keys = {
            "order-0": "confirmed-order",
            "order-1": "cancelled-order",
            "cancel-1": "cancelled-order",
            "order-2": "abandoned-order",
        }
        self.stock = {"MUG": StockTotals(10, 4), "PEN": StockTotals(10, 2)}
        self.received = {"MUG": 10, "PEN": 10}
        self.provider = {
            "pi_1": LedgerPayment("confirmed-order", 0, 500, 1),
            "pi_2": LedgerPayment("cancelled-order", 0, 0, 1),
            "pi_3": LedgerPayment("abandoned-order", 0, 500, 1),
        }

    def evidence(self) -> Evidence:
        database = Database(self.orders, self.keys, self.stock)
        ledgers = Ledgers(database, self.provider)
        return Evidence(self.visits, self.responses, ledgers, self.received)

    def result(self, **changes: Any) -> ChaosResult:
        result = ChaosResult(self.evidence(), [], 5.0, [], {"invariant_checks": 12})
        return result._replace(**changes)

    def set_order(self, order: str, **changes: Any) -> "SampleLedgers":
        self.orders[order] = self.orders[order]._replace(**changes)
        return self

    def set_intent(self, intent: str, **changes: Any) -> "SampleLedgers":
        self.provider[intent] = self.provider[intent]._replace(**changes)
        return self

    def set_responses(self, visit: int, **changes: Any) -> "SampleLedgers":
        self.responses[visit] = replace(self.responses[visit], **changes)
        return self

    def set_visit(
        self, visit: int, *, card: str, answer: CustomerAnswer = FINISH
    ) -> "SampleLedgers":
        before = self.visits[visit]
        cart = before.cart._replace(payment_method=card)
        self.visits[visit] = before._replace(cart=cart, answer=answer)
        return self

    def review(self, visit: int, decision: ShopDecision) -> "SampleLedgers":
        """Make the cart of a visit, and its order, large enough for a review."""
        before, order = self.visits[visit], self.keys[f"order-{visit}"]
        items = (("MUG", LARGE_QUANTITY), ("PEN", 1))
        cart = before.cart._replace(items=items)
        self.visits[visit] = before._replace(cart=cart, decision=decision)
        self.set_order(order, items=frozenset(items))
        self.received["MUG"] = self.stock["MUG"].on_hand + LARGE_QUANTITY
        self.stock["MUG"] = StockTotals(self.received["MUG"], 2 + LARGE_QUANTITY)
        return self

    def cancel_the_abandoned_order(self, reason: str) -> "SampleLedgers":
        items = dict(self.orders["abandoned-order"].items)
        self.set_order("abandoned-order", status="cancelled", reason=reason)
        self.set_intent("pi_3", captured_minor=0)
        for sku, stock in self.stock.items():
            self.stock[sku] = stock._replace(reserved=stock.reserved - items[sku])
        return self


def order_response(order: str, status: str = "placed", total: int = 500) -> OrderResponse:
    return OrderResponse(order, status, "", total)


def lose_the_order(ledgers: SampleLedgers) -> None:
    ledgers.set_responses(CONFIRMED, placed={"lost-order": order_response("lost-order")}, ends=[])
    ledgers.keys["order-0"] = "confirmed-order"


def sell_another_cart(ledgers: SampleLedgers) -> None:
    ledgers.set_order("confirmed-order", items=frozenset({("MUG", 2), ("CUP", 1)}))
    ledgers.stock["PEN"] = StockTotals(10, 1)


DISAGREEMENTS: dict[str, tuple[Callable[[SampleLedgers], object], set[tuple[str, str]]]] = {
    # Responses to one customer
    "two orders for one key": (
        lambda ledgers: ledgers.set_responses(
            CONFIRMED,
            placed={
                "confirmed-order": order_response("confirmed-order"),
                "abandoned-order": order_response("abandoned-order"),
            },
        ),
        {
            ("one key, several orders", "order-0"),
            ("key belongs to another order", "abandoned-order"),
        },
    ),
    "accepted and rejected": (
        lambda ledgers: ledgers.set_responses(CONFIRMED, was_rejected=True),
        {("accepted and rejected", "order-0"), ("rejected without a reason", "order-0")},
    ),
    "no response": (
        lambda ledgers: ledgers.set_responses(REJECTED, was_rejected=False),
        {("no response", "order-3")},
    ),
    "not found any more": (
        lambda ledgers: ledgers.set_responses(CONFIRMED, unexpected=["read: 404"]),
        {("own order rejected", "order-0")},
    ),
    # The customer and our database
    "a lost order": (lose_the_order, {("lost order", "lost-order")}),
    "a rejected request that ordered": (
        lambda ledgers: ledgers.keys.update({"order-3": "confirmed-order"}),
        {
            ("rejected, but ordered", "order-3"),
            ("different cart", "confirmed-order"),
            ("order without a customer", "confirmed-order"),
        },
    ),
    "different cart": (sell_another_cart, {("different cart", "confirmed-order")}),
    "different total": (
        lambda ledgers: ledgers.set_responses(
            CONFIRMED, placed={"confirmed-order": order_response("confirmed-order", total=499)}
        ),
        {("different total", "confirmed-order")},
    ),
    "accepted cancellation without effect": (
        lambda ledgers: (
            ledgers.set_order("cancelled-order", status="confirmed", reason=""),
            ledgers.set_intent("pi_2", captured_minor=500),
            ledgers.set_responses(CANCELLED, ends=[order_response("cancelled-order", "confirmed")]),
            ledgers.stock.update({"MUG": StockTotals(10, 6), "PEN": StockTotals(10, 3)}),
        ),
        {("accepted cancellation without effect", "cancelled-order")},
    ),
    "a final status that changed": (
        lambda ledgers: ledgers.set_responses(
            CANCELLED, asked_to_cancel=False, cancel_was_acked=False
        ),
        {
            ("final status changed", "cancelled-order"),
            ("cancelled without a reason", "cancelled-order"),
        },
    ),
    "cancelled for no reason": (
        lambda ledgers: ledgers.set_order("cancelled-order", reason="out_of_stock"),
        {("cancelled without a reason", "cancelled-order")},
    ),
    "confirmed on a card that declines": (
        lambda ledgers: ledgers.set_visit(
            CONFIRMED, card="pm_card_chargeDeclined", answer=CustomerAnswer.LEAVE
        ),
        {("confirmed without money", "confirmed-order")},
    ),
    "an order without a customer": (
        lambda ledgers: ledgers.keys.pop("order-2"),
        {("order without a customer", "abandoned-order")},
    ),
    "an order without a final status": (
        lambda ledgers: (
            ledgers.set_order("abandoned-order", status="cancelling"),
            ledgers.set_intent("pi_3", captured_minor=0),
            ledgers.stock.update({"MUG": StockTotals(10, 2), "PEN": StockTotals(10, 1)}),
        ),
        {("no final status", "abandoned-order")},
    ),
    # Our database and the provider
    "a ghost charge": (
        lambda ledgers: (
            ledgers.set_intent("pi_2", captured_minor=500),
            ledgers.set_responses(CANCELLED, ends=[order_response("cancelled-order", "confirmed")]),
        ),
        {("ghost charge", "cancelled-order")},
    ),
    "money still held for a cancelled order": (
        lambda ledgers: (
            ledgers.set_intent("pi_2", held_minor=500),
            ledgers.set_responses(CANCELLED, ends=[order_response("cancelled-order", "confirmed")]),
        ),
        {("ghost charge", "cancelled-order")},
    ),
    "a confirmed order without money": (
        lambda ledgers: ledgers.set_intent("pi_3", captured_minor=0),
        {("wrong amount", "abandoned-order")},
    ),
    "money that was never captured": (
        lambda ledgers: ledgers.set_intent("pi_3", captured_minor=0, held_minor=500),
        {("wrong amount", "abandoned-order")},
    ),
    "charged twice": (
        lambda ledgers: ledgers.provider.update(
            {"pi_4": LedgerPayment("abandoned-order", 0, 0, 1)}
        ),
        {("charged twice", "abandoned-order")},
    ),
    "money without an order": (
        lambda ledgers: ledgers.provider.update({"pi_4": LedgerPayment("stranger", 0, 500, 1)}),
        {("money without an order", "stranger")},
    ),
    # The customer and the provider: our database agrees with the provider, and both are wrong
    "reported cancelled, but charged": (
        lambda ledgers: (
            ledgers.set_responses(
                ABANDONED,
                ends=[order_response("abandoned-order", "cancelled")],
                asked_to_cancel=True,
            ),
            ledgers.keys.update({"cancel-2": "abandoned-order"}),
        ),
        {
            ("reported cancelled, but charged", "abandoned-order"),
            ("final status changed", "abandoned-order"),
        },
    ),
    "reported confirmed, but charged another sum": (
        lambda ledgers: (
            ledgers.set_intent("pi_1", captured_minor=600),
            ledgers.set_order("confirmed-order", total_minor=600),
            ledgers.set_responses(
                CONFIRMED, placed={"confirmed-order": order_response("confirmed-order", total=600)}
            ),
        ),
        {("reported confirmed, but charged another sum", "confirmed-order")},
    ),
    # Waits
    "confirmed although the customer left it to the deadline": (
        lambda ledgers: ledgers.set_visit(
            CONFIRMED, card="pm_card_authenticationRequired", answer=CustomerAnswer.LEAVE
        ),
        {("confirmed without money", "confirmed-order")},
    ),
    "declined although the customer authenticated": (
        lambda ledgers: (
            ledgers.set_visit(ABANDONED, card="pm_card_authenticationRequired"),
            ledgers.cancel_the_abandoned_order("payment_declined"),
        ),
        {("cancelled without a reason", "abandoned-order")},
    ),
    "confirmed although the shop rejected it": (
        lambda ledgers: ledgers.review(CONFIRMED, ShopDecision.REJECT),
        {("confirmed without approval", "confirmed-order")},
    ),
    "rejected although the shop approved it": (
        lambda ledgers: (
            ledgers.review(ABANDONED, ShopDecision.APPROVE),
            ledgers.cancel_the_abandoned_order("review_rejected"),
        ),
        {("cancelled without a reason", "abandoned-order")},
    ),
    "not reviewed although the shop rejected it": (
        lambda ledgers: (
            ledgers.review(ABANDONED, ShopDecision.REJECT),
            ledgers.cancel_the_abandoned_order("not_reviewed"),
        ),
        {("cancelled without a reason", "abandoned-order")},
    ),
    "an approval that stays open": (
        lambda ledgers: ledgers.set_order("cancelled-order", open_approvals=1),
        {("approval still open", "cancelled-order")},
    ),
    "two charges of two payments, and a third one": (
        lambda ledgers: (
            ledgers.set_order("abandoned-order", payments=2),
            ledgers.set_intent("pi_3", charges=3),
        ),
        {("charged twice", "abandoned-order")},
    ),
    # Our database and the stock
    "stock that was not released": (
        lambda ledgers: ledgers.stock.update({"MUG": StockTotals(10, 6)}),
        {("stock not conserved", "MUG")},
    ),
    "goods that vanished": (
        lambda ledgers: ledgers.stock.update({"PEN": StockTotals(9, 2)}),
        {("stock not conserved", "PEN")},
    ),
}


def test_ledgers_that_agree_pass() -> None:
    ledgers = SampleLedgers()

    report = judge(PLAN, ledgers.result())

    assert report.findings == []
    assert report.verdict == Verdict.PASSED
    assert report.confirmable == Confirmable(orders=2, confirmed=2)


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_a_disagreement_is_found(name: str) -> None:
    change, expected = DISAGREEMENTS[name]
    ledgers = SampleLedgers()

    change(ledgers)

    found = findings(ledgers.evidence())
    assert {(finding.kind, finding.subject) for finding in found} == expected
    assert judge(PLAN, ledgers.result()).verdict == Verdict.FINDING


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_every_finding_breaks_exactly_one_promise(name: str) -> None:
    change, _ = DISAGREEMENTS[name]
    ledgers = SampleLedgers()
    change(ledgers)
    report = judge(PLAN, ledgers.result())

    rows = promises(report)

    assert sum(row["broken"] for row in rows) == len(report.findings) > 0


def test_two_payments_of_an_order_may_have_a_charge_each() -> None:
    ledgers = SampleLedgers().set_order("abandoned-order", payments=2)
    ledgers.provider["pi_4"] = LedgerPayment("abandoned-order", 0, 0, 1)

    assert findings(ledgers.evidence()) == []


@pytest.mark.parametrize(
    ("decision", "reason"),
    [(ShopDecision.REJECT, "review_rejected"), (ShopDecision.LEAVE, "not_reviewed")],
)
def test_an_order_that_the_shop_does_not_accept_is_cancelled_and_not_confirmable(
    decision: ShopDecision, reason: str
) -> None:
    ledgers = SampleLedgers()
    ledgers.review(ABANDONED, decision)
    ledgers.cancel_the_abandoned_order(reason)

    assert findings(ledgers.evidence()) == []
    assert confirmable(ledgers.evidence()) == Confirmable(orders=1, confirmed=1)


def test_an_order_that_its_customer_leaves_is_declined_and_not_confirmable() -> None:
    ledgers = SampleLedgers()
    ledgers.set_visit(ABANDONED, card="pm_card_authenticationRequired", answer=CustomerAnswer.LEAVE)
    ledgers.cancel_the_abandoned_order("payment_declined")

    assert findings(ledgers.evidence()) == []
    assert confirmable(ledgers.evidence()) == Confirmable(orders=1, confirmed=1)


def test_the_rate_of_an_unbroken_promise_is_bounded_by_the_rule_of_three() -> None:
    rows = promises(judge(PLAN, SampleLedgers().result()))

    assert {"promise": "every invariant", "broken": 0, "of": 12, "at_most": 0.25} in rows
    assert {"promise": "no ghost charge", "broken": 0, "of": 3, "at_most": 1.0} in rows


def test_overselling_is_found_even_if_levels_and_orders_agree() -> None:
    ledgers = SampleLedgers()
    evidence = ledgers.evidence()._replace(initial_stock={"MUG": 3, "PEN": 10})
    ledgers.stock["MUG"] = StockTotals(3, 4)

    found = findings(evidence)

    assert [(finding.kind, finding.subject) for finding in found] == [("oversold", "MUG")]


def test_unfinished_runs_and_broken_invariants_are_findings() -> None:
    result = SampleLedgers().result(unfinished=["checkout of x"], broken=[("at the end", "M1")])

    report = judge(PLAN, result)

    assert [(finding.kind, finding.detail) for finding in report.findings] == [
        ("not ended", "checkout of x"),
        ("invariants broken", "M1"),
    ]
    assert report.verdict == Verdict.FINDING


def test_a_run_with_too_few_confirmed_orders_is_invalid() -> None:
    ledgers = SampleLedgers()
    ledgers.set_order("abandoned-order", status="cancelled", reason="authorize_payment_unanswered")
    ledgers.set_intent("pi_3", captured_minor=0)
    ledgers.stock.update({"MUG": StockTotals(10, 2), "PEN": StockTotals(10, 1)})

    report = judge(PLAN, ledgers.result())

    assert report.findings == []
    assert report.confirmable == Confirmable(orders=2, confirmed=1)
    assert report.verdict == Verdict.INVALID


def test_a_run_without_orders_is_invalid() -> None:
    assert not confirmable(SampleLedgers().evidence()._replace(visits=[])).is_enough


@pytest.mark.parametrize(("confirmed", "enough"), [(59, False), (60, True)])
def test_sixty_percent_confirmed_orders_are_enough(confirmed: int, *, enough: bool) -> None:
    assert Confirmable(orders=100, confirmed=confirmed).is_enough == enough


PLAN = Plan(seed=1, seconds=60, visits=(), disruptions=(), stock={})
