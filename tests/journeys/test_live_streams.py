"""Event streams from a real web process: delivery, limits, and the end of the process."""

import http.client
import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import urllib3
from django.db import connection, transaction

from orders.models import Cause, Order
from orders.states import OrderStatus
from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.stripe_process import SandboxServer
from tests.support.application_environment import environment_for
from tests.support.production_processes import OWNED, WEB, Program
from tests.support.storefront_client import ORDERS, Storefront, cart
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

GRACE = ("--graceful-timeout", "60")


class Web(Program):
    """One web process that allows one stream at a time."""

    def __init__(self, folder: Path, sandbox_stripe: SandboxServer) -> None:
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        environment = {
            **environment_for(sandbox_stripe),
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "THROTTLING": "0",
            "STREAMS_PER_PROCESS": "1",
        }
        address = f"{LOOPBACK}:{self.port}"
        super().__init__(folder / "web.log", environment, *OWNED, *WEB, address, *GRACE)

    def is_ready(self) -> bool:
        try:
            url = f"http://{LOOPBACK}:{self.port}/health/live"
            return urllib3.request("GET", url, retries=False).status == HTTPStatus.OK
        except urllib3.exceptions.HTTPError:
            return False

    def end(self) -> int:
        """Stop it, and return its exit status."""
        self.stop()
        self._reserved.close()
        return int(self._process.returncode)


@pytest.fixture
def web(transactional_db: None, sandbox: SandboxServer, tmp_path: Path) -> Iterator[Web]:
    running = Web(tmp_path, sandbox)
    try:
        wait_until(running.is_ready)
        yield running
    finally:
        running.end()
        disconnect_others()


@pytest.fixture
def order(storefront: Storefront) -> Order:
    return Order.objects.get(pk=storefront.order(cart(("MUG", 1))).order_id)


def test_a_transition_is_sent_when_it_happens(
    web: Web, storefront: Storefront, order: Order
) -> None:
    stream = open_stream(web, storefront, order)
    assert next_event(stream) == ("placed", 0)
    with transaction.atomic():
        Order.objects.transition({order.pk: Cause("paid")}, OrderStatus.CONFIRMED)

    assert next_event(stream) == ("confirmed", 1)
    assert stream.read().endswith(b"event: end\ndata: {}\n\n")  # and the connection is closed


def test_a_client_that_disconnects_frees_its_stream(
    web: Web, storefront: Storefront, order: Order
) -> None:
    leaving = open_stream(web, storefront, order)
    next_event(leaving)
    rejected = open_stream(web, storefront, order)
    others = [get(web, storefront, path).status for path in (ORDERS, "/api/v1/products")]
    leaving.close()

    assert rejected.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert json.loads(rejected.read())["type"] == "/problems/too-many-streams"
    assert others == [HTTPStatus.OK, HTTPStatus.OK]
    wait_until(lambda: open_stream(web, storefront, order).status == HTTPStatus.OK)


def test_a_stopping_process_ends_its_streams_and_exits(
    web: Web, storefront: Storefront, order: Order
) -> None:
    stream = open_stream(web, storefront, order)
    next_event(stream)

    exited = web.end()

    # A stream that is cut off would raise here.
    assert stream.read().endswith(b": nothing new\n\n")
    assert exited == 0
    assert "WORKER TIMEOUT" not in web.log.read_text()


def open_stream(web: Web, storefront: Storefront, order: Order) -> http.client.HTTPResponse:
    return get(web, storefront, f"{ORDERS}/{order.pk}/events")


def get(web: Web, storefront: Storefront, path: str) -> http.client.HTTPResponse:
    client = http.client.HTTPConnection(LOOPBACK, web.port, timeout=60)
    # With "close" only the response refers to the socket.
    headers = {"Authorization": f"Bearer {storefront.token}", "Connection": "close"}
    client.request("GET", path, headers=headers)
    return client.getresponse()


def next_event(stream: http.client.HTTPResponse) -> tuple[str, int]:
    """Return the next event's name and version."""
    while not (line := stream.readline()).startswith(b"event:"):
        assert line, "the stream has ended"
    data = json.loads(stream.readline().removeprefix(b"data:"))
    return line.removeprefix(b"event:").strip().decode(), data["version"]


def disconnect_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
