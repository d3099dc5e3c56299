"""The closed and the open loop, against a shop whose responses the test chooses."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, pairwise, repeat
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from benchmarks.load import Load, closed_loop, open_loop
from benchmarks.storefront import Storefront

BODY = b'{"items": []}'
PATIENCE_SECONDS = 60
RATE = 100

Serve = Callable[[bytes], bytes]


def accepted(number: int) -> bytes:
    return (
        f"HTTP/1.1 202 Accepted\r\nLocation: /api/v1/orders/order-{number}\r\n"
        "Content-Length: 2\r\n\r\n{}"
    ).encode()


def rejected(status: int, body: str) -> bytes:
    return f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


HANG_UP = b""


@contextmanager
def shop(serve: Serve) -> Iterator[Load]:
    """Yield a load whose requests ``serve`` answers, with one thread per connection."""

    class Connection(StreamRequestHandler):
        def handle(self) -> None:
            while request := self.connection.recv(65536):
                response = serve(request)
                if response == HANG_UP:
                    return
                self.wfile.write(response)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        storefront = Storefront("127.0.0.1", server.server_address[1], "token")
        try:
            yield Load(storefront, repeat(BODY), run="run")
        finally:
            server.shutdown()
            thread.join()


async def place_orders(load: Load, orders: int) -> None:
    """Place orders one after the other."""
    for _ in range(orders):
        await load.place(time.time())
    load.storefront.close()


def test_a_closed_loop_never_has_more_orders_outstanding_than_clients() -> None:
    numbers = count()
    outstanding, counts = set[str](), list[int]()
    all_three = asyncio.Event()

    async def wait_until_ended(order_id: str) -> None:
        outstanding.add(order_id)
        counts.append(len(outstanding))
        if len(outstanding) == 3:
            all_three.set()
        await asyncio.wait_for(all_three.wait(), PATIENCE_SECONDS)
        await asyncio.sleep(0.002)
        outstanding.remove(order_id)
        if len(counts) >= 30:
            load.stopped.set()

    async def run_loop() -> None:
        await closed_loop(load, 3, wait_until_ended)
        load.storefront.close()

    with shop(lambda _: accepted(next(numbers))) as load:
        asyncio.run(run_loop())

    assert max(counts) == 3
    assert outstanding == set()
    assert len(load.placements) == len(counts) <= 32


def test_an_open_loop_keeps_sending_without_responses() -> None:
    numbers, all_ten_sent = count(), threading.Barrier(10)

    def serve(_: bytes) -> bytes:
        all_ten_sent.wait(PATIENCE_SECONDS)
        return accepted(next(numbers))

    with shop(serve) as load:
        asyncio.run(send_by_schedule(load, orders=10))

    due = sorted(placement.due for placement in load.placements)
    assert [later - earlier for earlier, later in pairwise(due)] == pytest.approx([1 / RATE] * 9)
    assert load.failures() == {}
    first = min(load.placements, key=lambda placement: placement.due)
    assert first.responded_at >= due[-1]


def test_an_order_that_is_sent_late_counts_from_when_it_was_due() -> None:
    stall = 0.2
    numbers = count()

    def late_bodies() -> Iterator[bytes]:
        threading.Event().wait(stall)  # the load generator itself is late
        yield from repeat(BODY)

    with shop(lambda _: accepted(next(numbers))) as load:
        load.bodies = late_bodies()
        asyncio.run(send_by_schedule(load, orders=10))

    by_due = sorted(load.placements, key=lambda placement: placement.due)
    waits = [placement.responded_at - placement.due for placement in by_due]
    assert [wait >= stall - number / RATE for number, wait in enumerate(waits)] == [True] * 10
    assert by_due[-1].due - by_due[0].due == pytest.approx(9 / RATE)


async def send_by_schedule(load: Load, orders: int) -> None:
    bodies = load.bodies

    def limited_bodies() -> Iterator[bytes]:
        for number in range(1, orders + 1):
            if number == orders:
                load.stopped.set()
            yield next(bodies)

    load.bodies = limited_bodies()
    await open_loop(load, RATE)
    load.storefront.close()


def test_failures_are_counted_by_kind() -> None:
    problem = '{"type": "https://example.com/problems/out-of-luck"}'
    responses = iter(
        [rejected(503, problem), rejected(500, "<h1>"), HANG_UP, HANG_UP, rejected(503, problem)]
    )

    with shop(lambda _: next(responses)) as load:
        asyncio.run(place_orders(load, 4))

    assert load.failures() == {
        "503 out-of-luck": 2,
        "500 no problem details": 1,
        "ConnectionLost": 1,
    }
    assert [placement.order_id for placement in load.placements] == ["", "", "", ""]


def test_a_request_on_a_closed_connection_is_repeated_under_its_key() -> None:
    requests = list[bytes]()
    responses = iter([accepted(1), HANG_UP, accepted(2)])

    def serve(request: bytes) -> bytes:
        requests.append(request)
        return next(responses)

    with shop(serve) as load:
        asyncio.run(place_orders(load, 2))

    assert [placement.order_id for placement in load.placements] == ["order-1", "order-2"]
    assert [b"Idempotency-Key: run-0" in request for request in requests] == [True, False, False]
    assert requests[1] == requests[2]
