"""How customers of a chaos run behave, on a shop that answers as it is told to."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proof.chaos.customers import Customers
from proof.chaos.history import Conversation, History, Outcome, Request, conversations, read
from proof.chaos.plan import Errand, Manner
from sandbox.drive.shop import Cart
from tests.support.waits import PATIENCE_SECONDS, wait_until

ORDER = {"id": "an-order", "status": "placed", "reason_code": "", "total_minor": 700}
CART = Cart((("MUG", 2),), "pm_card_visa")


class Shop(ThreadingHTTPServer):
    """Answers each kind of request with the next status of its list, the last one for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.answers: dict[str, list[int]] = {"orders": [202], "cancel": [202], "look": [200]}
        self.ends = ["confirmed"]
        self.asked: Counter[str] = Counter()
        self.keys: list[str | None] = []
        self.carts: list[object] = []
        self.slowness = threading.Event()
        self.slowness.set()

    def next_answer(self, kind: str) -> int:
        self.asked[kind] += 1
        listed = self.answers[kind]
        return listed.pop(0) if len(listed) > 1 else listed[0]


class Desk(BaseHTTPRequestHandler):
    server: Shop
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = "cancel" if self.path.endswith("/cancel") else "orders"
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.server.carts.append(body)
        self.server.slowness.wait(PATIENCE_SECONDS)
        self._answer(kind, ORDER)

    def do_GET(self) -> None:
        ends = self.server.ends
        status = ends.pop(0) if len(ends) > 1 else ends[0]
        self._answer("look", {**ORDER, "status": status})

    def _answer(self, kind: str, content: dict[str, object]) -> None:
        payload = json.dumps(content).encode()
        try:
            self.send_response(self.server.next_answer(kind))
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
        shop.slowness.set()
        shop.shutdown()
        serving.join()


def visit(shop: Shop, folder: Path, errand: Errand) -> Conversation:
    """Let one customer come and go, and return what was said."""
    log = folder / "customers.jsonl"
    began = time.monotonic()
    with History(log, began) as history:
        url = f"http://127.0.0.1:{shop.server_address[1]}"
        customers = Customers(url, "a-token", history, seed=1, patience_seconds=PATIENCE_SECONDS)
        customers.arrive([errand], began)
        customers.finish(PATIENCE_SECONDS)
    return conversations(read(log), 1)[0]


def errand(manner: Manner = Manner.PATIENT, cancels_after: float | None = None) -> Errand:
    return Errand(0, 0.0, CART, manner, 0, cancels_after)


def test_a_patient_customer_repeats_under_one_key_until_there_is_an_answer(
    shop: Shop, tmp_path: Path
) -> None:
    shop.answers["orders"] = [503, 409, 500, 202]

    told = visit(shop, tmp_path, errand())

    assert shop.keys == ["order-0"] * 4
    assert (
        shop.carts
        == [{"items": [{"sku": "MUG", "quantity": 2}], "payment_method": "pm_card_visa"}] * 4
    )
    assert list(told.placed) == ["an-order"]
    assert told.unknowns == 3
    assert not told.was_refused


def test_a_refusal_is_not_repeated(shop: Shop, tmp_path: Path) -> None:
    shop.answers["orders"] = [422]

    told = visit(shop, tmp_path, errand())

    assert shop.asked == {"orders": 1}
    assert told.was_refused
    assert told.placed == {}


def test_a_double_click_is_one_key_twice(shop: Shop, tmp_path: Path) -> None:
    told = visit(shop, tmp_path, errand(Manner.DOUBLE_CLICK))

    assert shop.keys == ["order-0", "order-0"]
    assert list(told.placed) == ["an-order"]


def test_who_abandons_hangs_up_and_does_not_come_back(shop: Shop, tmp_path: Path) -> None:
    shop.slowness.clear()

    told = visit(shop, tmp_path, errand(Manner.ABANDON))
    wait_until(lambda: shop.keys, "what was sent is read, also from who has hung up")

    assert shop.keys == ["order-0"]
    assert told == Conversation(unknowns=1)
    assert not told.is_resolved


def test_an_order_is_followed_to_its_end(shop: Shop, tmp_path: Path) -> None:
    shop.ends = ["placed", "placed", "confirmed"]

    told = visit(shop, tmp_path, errand())

    assert shop.asked == {"orders": 1, "look": 3}
    assert [end.status for end in told.ends] == ["confirmed"]


def test_a_cancel_has_a_key_of_its_own_and_is_followed_to_the_cancelled_order(
    shop: Shop, tmp_path: Path
) -> None:
    shop.answers["cancel"] = [503, 202]
    shop.ends = ["confirmed", "cancelling", "cancelled"]

    told = visit(shop, tmp_path, errand(cancels_after=0.0))

    assert shop.keys == ["order-0", "cancel-0", "cancel-0"]
    assert told.cancel_was_acked
    assert [end.status for end in told.ends] == ["confirmed", "cancelled"]


def test_an_own_order_that_is_not_found_any_more_is_remembered(shop: Shop, tmp_path: Path) -> None:
    shop.answers["look"] = [404]

    told = visit(shop, tmp_path, errand())

    assert len(told.unexpected) == 1
    assert told.unexpected[0].startswith("look: 404")


def test_customers_do_not_wait_for_those_before_them(shop: Shop, tmp_path: Path) -> None:
    shop.slowness.clear()
    began = time.monotonic()
    with History(tmp_path / "log", began) as history:
        url = f"http://127.0.0.1:{shop.server_address[1]}"
        customers = Customers(url, "a-token", history, seed=1, patience_seconds=PATIENCE_SECONDS)
        errands = [errand()._replace(number=number) for number in range(5)]

        customers.arrive(errands, began)
        wait_until(lambda: len(shop.keys) == len(errands), "all have asked")

        assert sorted(map(str, shop.keys)) == [each.key for each in errands]
        assert shop.asked == {}  # nobody has been answered yet
        shop.slowness.set()
        customers.finish(PATIENCE_SECONDS)


def test_what_is_told_after_the_run_was_called_off_is_not_written(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with History(log, 0.0) as history:
        history.write(1, Request.PLACE, Outcome.UNKNOWN, None, "503")

    history.write(2, Request.PLACE, Outcome.UNKNOWN, None, "503")

    assert [event.errand for event in read(log)] == [1]
