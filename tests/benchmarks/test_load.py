"""The two ways to offer load, at a shop that answers as it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

from benchmarks.load import Load, closed_loop, open_loop
from benchmarks.storefront import Storefront

Serve = Callable[[bytes], Awaitable[bytes]]


def accepted(number: int) -> bytes:
    return (
        f"HTTP/1.1 202 Accepted\r\nLocation: /api/v1/orders/order-{number}\r\n"
        "Content-Length: 2\r\n\r\n{}"
    ).encode()


def refused(status: int, body: str) -> bytes:
    return f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@asynccontextmanager
async def shop(serve: Serve) -> AsyncIterator[Load]:
    """Serve each request, body and all, until the connection ends."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(65536):
            answer = await serve(head)
            if not answer:
                break
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    storefront = Storefront(host, port, "token")
    try:
        yield Load(storefront, iter(lambda: b'{"items": []}', b""), run="run")
    finally:
        storefront.close()
        server.close()
        await server.wait_closed()


def test_a_closed_loop_has_so_many_orders_outstanding_and_never_more() -> None:
    outstanding, seen = set[str](), list[int]()

    async def scenario() -> None:
        numbers = iter(range(1000))

        async def serve(_: bytes) -> bytes:
            return accepted(next(numbers))

        async def ended(order_id: str) -> None:
            outstanding.add(order_id)
            seen.append(len(outstanding))
            await asyncio.sleep(0.002)
            outstanding.remove(order_id)
            if len(load.placements) >= 30:
                load.stopped.set()

        async with shop(serve) as load:
            await closed_loop(load, 3, ended)

    asyncio.run(scenario())

    assert max(seen) == 3
    assert outstanding == set()


def test_an_open_loop_keeps_its_schedule_while_the_shop_stalls() -> None:
    """Every order that was due is sent, and counts from when it was due."""
    stall = 0.3

    async def scenario() -> Load:
        numbers = iter(range(1000))

        async def serve(_: bytes) -> bytes:
            number = next(numbers)
            if number == 0:
                time.sleep(stall)  # noqa: TID251 - it is this very loop that is to be late
            return accepted(number)

        async with shop(serve) as load:
            asyncio.get_running_loop().call_later(stall + 0.1, load.stopped.set)
            await open_loop(load, rate=50)
            return load

    load = asyncio.run(scenario())

    due = sorted(each.due for each in load.placements)
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert len(due) >= 15
    assert all(abs(gap - 0.02) < 1e-6 for gap in gaps)
    late = [each for each in load.placements if each.answered - each.due > stall / 2]
    assert len(late) >= 5


def test_what_goes_wrong_is_counted_by_its_kind() -> None:
    async def scenario() -> Load:
        problem = '{"type": "https://example.com/problems/out-of-luck"}'
        answers = iter([refused(503, problem), refused(500, "<h1>"), b"", b"", accepted(1)])

        async def serve(_: bytes) -> bytes:
            return next(answers)

        async with shop(serve) as load:
            for _ in range(4):
                await load.place(time.time())
            return load

    load = asyncio.run(scenario())

    assert load.failures() == {
        "503 out-of-luck": 1,
        "500 no problem details": 1,
        "ConnectionLost": 1,
    }
    assert [each.order_id for each in load.placements] == ["", "", "", "order-1"]


def test_a_request_on_a_connection_that_was_closed_is_repeated_under_its_key() -> None:
    requests = list[bytes]()

    async def scenario() -> Load:
        answers = iter([accepted(1), b"", accepted(2)])

        async def serve(request: bytes) -> bytes:
            requests.append(request)
            return next(answers)

        async with shop(serve) as load:
            await load.place(time.time())
            await load.place(time.time())
            return load

    load = asyncio.run(scenario())

    assert [each.order_id for each in load.placements] == ["order-1", "order-2"]
    assert [b"Idempotency-Key: run-0" in each for each in requests] == [True, False, False]
    assert requests[1] == requests[2]
