"""The customers of a chaos run, against a shop whose responses the test chooses."""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proof.chaos.customers import Customers
from proof.chaos.plan import CustomerAnswer, ShopDecision, SubmitStyle, Visit
from proof.chaos.request_log import (
    CustomerResponses,
    RequestKind,
    RequestLog,
    RequestOutcome,
    read_log,
    responses_by_visit,
)
from proof.chaos.wait_answers import WaitControls
from sandbox.drive.shop import Cart
from tests.support.waits import PATIENCE_SECONDS, wait_until

ORDER = {"id": "an-order", "status": "placed", "reason_code": "", "total_minor": 700}
CART = Cart((("MUG", 2),), "pm_card_visa")
ASKS: dict[str, object] = {
    "status": "placed",
    "waiting_for": {"code": "authentication_required"},
    "next_action": {"client_secret": "pi_7_secret_x", "payment_id": "a-payment"},
}
NEEDS_A_CARD: dict[str, object] = {
    "status": "placed",
    "waiting_for": {"code": "another_payment_needed"},
}
IS_REVIEWED: dict[str, object] = {"status": "placed", "waiting_for": {"code": "await_review"}}
POSTS = ("cancel", "payments", "authentications", "approve", "reject")


class Shop(ThreadingHTTPServer):
    """Answers each kind of request with the next status of its list; the last one repeats."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ShopHandler)
        self.statuses: dict[str, list[int]] = defaultdict(
            lambda: [200], {"orders": [202], "cancel": [202], "payments": [202]}
        )
        self.order_statuses: list[str | dict[str, object]] = ["confirmed"]
        self.authentications: list[tuple[str, str]] = []
        self.requests: Counter[str] = Counter()
        self.keys: list[str | None] = []
        self.carts: list[object] = []
        self.may_respond = threading.Event()
        self.may_respond.set()

    def next_status(self, kind: str) -> int:
        self.requests[kind] += 1
        statuses = self.statuses[kind]
        return statuses.pop(0) if len(statuses) > 1 else statuses[0]


class ShopHandler(BaseHTTPRequestHandler):
    server: Shop
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = next((kind for kind in POSTS if kind in self.path), "orders")
        if kind == "authentications":
            self.server.authentications.append((self.path, body["result"]))
        if kind in ("authentications", "approve", "reject"):
            self._respond(kind, {})
            return
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.server.carts.append(body)
        self.server.may_respond.wait(PATIENCE_SECONDS)
        self._respond(kind, ORDER)

    def do_GET(self) -> None:
        if "/approvals?" in self.path:
            self._respond("approvals", {"results": [{"id": "an-approval"}]})
            return
        statuses = self.server.order_statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        state = {"status": status} if isinstance(status, str) else status
        self._respond("read", {**ORDER, **state})

    def _respond(self, kind: str, content: dict[str, object]) -> None:
        payload = json.dumps(content).encode()
        try:
            self.send_response(self.server.next_status(kind))
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        pass


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as shop:
        serving = threading.Thread(target=shop.serve_forever, args=(0.01,))
        serving.start()
        yield shop
        shop.may_respond.set()
        shop.shutdown()
        serving.join()


def controls(url: str) -> WaitControls:
    return WaitControls(
        f"{url}/_sandbox", f"{url}/api/v1", "shop-token", "postgres://127.0.0.1:1/none"
    )


def run_visit(shop: Shop, folder: Path, visit: Visit) -> CustomerResponses:
    """Run one visit, and return the customer's responses."""
    log = folder / "customers.jsonl"
    began = time.monotonic()
    with RequestLog(log, began) as request_log:
        url = f"http://127.0.0.1:{shop.server_address[1]}"
        customers = Customers(
            url,
            "a-token",
            request_log,
            controls(url),
            seed=1,
            patience_seconds=PATIENCE_SECONDS,
        )
        customers.start_visits([visit], began)
        customers.finish(PATIENCE_SECONDS)
    return responses_by_visit(read_log(log), 1)[0]


def visit(style: SubmitStyle = SubmitStyle.PATIENT, cancels_after: float | None = None) -> Visit:
    return Visit(0, 0.0, CART, style, 0, cancels_after)


def test_a_patient_customer_repeats_under_one_key_until_accepted(
    shop: Shop, tmp_path: Path
) -> None:
    shop.statuses["orders"] = [503, 409, 500, 202]

    responses = run_visit(shop, tmp_path, visit())

    assert shop.keys == ["order-0"] * 4
    assert (
        shop.carts
        == [{"items": [{"sku": "MUG", "quantity": 2}], "payment_method": "pm_card_visa"}] * 4
    )
    assert list(responses.placed) == ["an-order"]
    assert responses.unknowns == 3
    assert not responses.was_rejected


def test_a_rejected_request_is_not_repeated(shop: Shop, tmp_path: Path) -> None:
    shop.statuses["orders"] = [422]

    responses = run_visit(shop, tmp_path, visit())

    assert shop.requests == {"orders": 1}
    assert responses.was_rejected
    assert responses.placed == {}


def test_a_double_click_sends_one_key_twice(shop: Shop, tmp_path: Path) -> None:
    responses = run_visit(shop, tmp_path, visit(SubmitStyle.DOUBLE_CLICK))

    assert shop.keys == ["order-0", "order-0"]
    assert list(responses.placed) == ["an-order"]


def test_a_customer_who_abandons_hangs_up_and_does_not_repeat(shop: Shop, tmp_path: Path) -> None:
    shop.may_respond.clear()

    responses = run_visit(shop, tmp_path, visit(SubmitStyle.ABANDON))
    wait_until(lambda: shop.keys, "the shop reads the request although the customer hung up")

    assert shop.keys == ["order-0"]
    assert responses == CustomerResponses(unknowns=1)
    assert not responses.is_resolved


def test_an_order_is_read_until_it_has_ended(shop: Shop, tmp_path: Path) -> None:
    shop.order_statuses = ["placed", "placed", "confirmed"]

    responses = run_visit(shop, tmp_path, visit())

    assert shop.requests == {"orders": 1, "read": 3}
    assert [end.status for end in responses.ends] == ["confirmed"]


def test_a_cancellation_has_its_own_key_and_the_order_is_read_until_it_is_cancelled(
    shop: Shop, tmp_path: Path
) -> None:
    shop.statuses["cancel"] = [503, 202]
    shop.order_statuses = ["confirmed", "cancelling", "cancelled"]

    responses = run_visit(shop, tmp_path, visit(cancels_after=0.0))

    assert shop.keys == ["order-0", "cancel-0", "cancel-0"]
    assert responses.cancel_was_acked
    assert [end.status for end in responses.ends] == ["confirmed", "cancelled"]


def test_a_customer_authenticates(shop: Shop, tmp_path: Path) -> None:
    shop.order_statuses = [ASKS, "confirmed"]

    responses = run_visit(shop, tmp_path, visit())

    assert shop.authentications == [("/_sandbox/authentications/pi_7", "complete")]
    assert responses.answered == {RequestKind.AUTHENTICATE}
    assert shop.requests["payments"] == 0


def test_a_customer_who_fails_to_authenticate_pays_by_another_card(
    shop: Shop, tmp_path: Path
) -> None:
    shop.statuses["payments"] = [409, 503, 202]
    shop.order_statuses = [ASKS, NEEDS_A_CARD, NEEDS_A_CARD, NEEDS_A_CARD, "confirmed"]

    responses = run_visit(shop, tmp_path, visit()._replace(answer=CustomerAnswer.ANOTHER_CARD))

    assert shop.authentications == [("/_sandbox/authentications/pi_7", "fail")]
    assert shop.keys == ["order-0", *["payment-0"] * 3]
    assert shop.carts[1:] == [{"payment_method": "pm_card_visa"}] * 3
    assert responses.answered == {RequestKind.AUTHENTICATE, RequestKind.PAY}
    assert responses.unexpected == []


def test_a_customer_authenticates_and_replaces_the_payment_at_the_same_time(
    shop: Shop, tmp_path: Path
) -> None:
    shop.order_statuses = [ASKS, "confirmed"]

    run_visit(shop, tmp_path, visit()._replace(answer=CustomerAnswer.BOTH))

    assert shop.authentications == [("/_sandbox/authentications/pi_7", "complete")]
    assert shop.carts[1:] == [{"payment_method": "pm_card_visa", "replaces": "a-payment"}]


@pytest.mark.parametrize("decision", [ShopDecision.APPROVE, ShopDecision.REJECT])
def test_the_shop_decides_a_review(shop: Shop, tmp_path: Path, decision: ShopDecision) -> None:
    shop.order_statuses = [IS_REVIEWED, "cancelled"]

    responses = run_visit(shop, tmp_path, visit()._replace(decision=decision))

    assert shop.requests[decision] == 1
    assert responses.answered == {RequestKind.DECIDE}


def test_a_deadline_is_tried_again_while_the_database_is_down(shop: Shop, tmp_path: Path) -> None:
    shop.order_statuses = [ASKS, NEEDS_A_CARD, "cancelled"]

    responses = run_visit(shop, tmp_path, visit()._replace(answer=CustomerAnswer.LEAVE))

    assert shop.requests == {"orders": 1, "read": 3}
    assert responses.answered == set()


def test_a_customer_who_cancels_answers_nothing(shop: Shop, tmp_path: Path) -> None:
    shop.order_statuses = [ASKS, "cancelled"]

    run_visit(shop, tmp_path, visit(cancels_after=0.0))

    assert shop.authentications == []


def test_a_404_for_ones_own_order_is_an_unexpected_response(shop: Shop, tmp_path: Path) -> None:
    shop.statuses["read"] = [404]

    responses = run_visit(shop, tmp_path, visit())

    assert len(responses.unexpected) == 1
    assert responses.unexpected[0].startswith("read: 404")


def test_customers_do_not_wait_for_earlier_customers(shop: Shop, tmp_path: Path) -> None:
    shop.may_respond.clear()
    began = time.monotonic()
    with RequestLog(tmp_path / "log", began) as request_log:
        url = f"http://127.0.0.1:{shop.server_address[1]}"
        customers = Customers(
            url,
            "a-token",
            request_log,
            controls(url),
            seed=1,
            patience_seconds=PATIENCE_SECONDS,
        )
        visits = [visit()._replace(number=number) for number in range(5)]

        customers.start_visits(visits, began)
        wait_until(lambda: len(shop.keys) == len(visits), "all requests have arrived")

        assert sorted(map(str, shop.keys)) == [visit.key for visit in visits]
        assert shop.requests == {}  # no request has a response yet
        shop.may_respond.set()
        customers.finish(PATIENCE_SECONDS)


def test_a_response_after_the_end_of_the_run_is_not_logged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with RequestLog(log, 0.0) as request_log:
        request_log.write(1, RequestKind.PLACE, RequestOutcome.UNKNOWN, None, "503")

    request_log.write(2, RequestKind.PLACE, RequestOutcome.UNKNOWN, None, "503")

    assert [entry.visit for entry in read_log(log)] == [1]
