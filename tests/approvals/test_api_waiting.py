"""``GET /approvals/{id}?wait=30`` answers as soon as the approval is decided."""

import threading
from collections import Counter
from concurrent.futures import Future
from typing import Any
from uuid import UUID

import pytest
from django.db.backends.utils import CursorWrapper
from pytest_django import Settings

from approvals import services
from approvals.models import Approval
from approvals.services import expire
from approvals.states import ApprovalStatus
from orders.api.approvals import schemas
from orders.api.approvals.views import approval_watcher
from orders.api.http.row_watcher import RowWatch, RowWatcher
from tests.support.approval_helpers import REVIEW, decide, open_approval
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ApiResponse, Storefront, cart
from tests.support.threads import start_thread
from tests.support.waits import wait_until

pytestmark = pytest.mark.usefixtures("disconnected_threads")

APPROVALS = "/api/v1/approvals"


@pytest.fixture
def approval(storefront: Storefront, messages: MessageQueue) -> Approval:
    order_id = storefront.order(cart(("MUG", 1))).order_id
    messages.drop_all()
    return open_approval(order_id)


def waiting(client: Storefront, approval: Approval, seconds: int = 30) -> Future[ApiResponse]:
    """Start a request that waits, and return once it does."""
    before = len(approval_watcher._watches)
    future = start_thread(client.get, f"{APPROVALS}/{approval.pk}?wait={seconds}")
    wait_until(lambda: len(approval_watcher._watches) > before or future.done())
    return future


@pytest.mark.parametrize("end", ["approved", "expired"])
def test_it_answers_as_soon_as_the_approval_is_decided(
    storefront: Storefront, shop_server: Storefront, approval: Approval, end: str
) -> None:
    requests = [waiting(client, approval) for client in (storefront, shop_server)]
    assert [request.done() for request in requests] == [False, False]

    if end == "approved":
        decide(approval)
    else:
        expire([approval.subject_id], REVIEW)

    responses = [request.result() for request in requests]
    assert [(response.status, response.body["status"]) for response in responses] == [
        (200, end)
    ] * 2
    wait_until(lambda: not approval_watcher._watches)


def test_after_the_seconds_it_answers_with_an_open_approval(
    storefront: Storefront, approval: Approval
) -> None:
    response = storefront.get(f"{APPROVALS}/{approval.pk}?wait=1")

    assert (response.status, response.body["status"]) == (200, "open")
    assert approval_watcher._watches == {}


def test_a_decided_approval_does_not_wait(
    storefront: Storefront, approval: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval_watcher, "wait", lambda *_: pytest.fail("it waited"))
    decide(approval)

    assert storefront.get(f"{APPROVALS}/{approval.pk}?wait=30").body["status"] == "approved"


@pytest.mark.parametrize("setting", ["WAITERS_PER_PROCESS", "WAITERS_PER_CUSTOMER"])
def test_beyond_the_limits_it_answers_at_once(
    storefront: Storefront, approval: Approval, settings: Settings, setting: str
) -> None:
    setattr(settings, setting, 1)
    first = waiting(storefront, approval)

    second = storefront.get(f"{APPROVALS}/{approval.pk}?wait=30")

    assert (second.status, second.body["status"], first.done()) == (200, "open", False)
    decide(approval)
    assert first.result().body["status"] == "approved"


def test_the_limit_is_released_after_a_wait(
    storefront: Storefront, approval: Approval, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WAITERS_PER_PROCESS = 1
    waits: list[float] = []
    monkeypatch.setattr(approval_watcher, "wait", lambda _, seconds: waits.append(seconds))

    for _ in range(2):
        storefront.get(f"{APPROVALS}/{approval.pk}?wait=7")

    assert waits == [7, 7]


@pytest.mark.parametrize("value", ["31", "-1", "1.5", "soon", "", "1&wait=2", "9" * 5000])
def test_a_wrong_number_of_seconds_is_refused(
    storefront: Storefront, approval: Approval, value: str
) -> None:
    response = storefront.get(f"{APPROVALS}/{approval.pk}?wait={value}")

    assert response.is_problem(400, "invalid-query")
    assert response.parameters == ["wait"]


def test_the_longest_wait_is_allowed(
    storefront: Storefront, approval: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(approval_watcher, "wait", lambda _, seconds: waits.append(seconds))

    storefront.get(f"{APPROVALS}/{approval.pk}?wait=030")

    assert waits == [schemas.MAX_WAIT_SECONDS] == [30]


def test_a_stranger_does_not_wait(
    stranger: Storefront, approval: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval_watcher, "wait", lambda *_: pytest.fail("it waited"))

    assert stranger.get(f"{APPROVALS}/{approval.pk}?wait=30").is_problem(404, "not-found")


def test_fifty_waiting_requests_cost_one_statement_per_read(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[set[UUID]] = []
    statements: Counter[str] = Counter()
    execute = CursorWrapper.execute

    def read(ids: set[UUID]) -> Any:
        reads.append(ids)
        return services.statuses(ids)

    def count(self: CursorWrapper, *args: Any, **options: Any) -> Any:
        statements[threading.current_thread().name] += 1
        return execute(self, *args, **options)

    watcher = RowWatcher[ApprovalStatus]("counted-watcher", read)
    approvals = [open_approval() for _ in range(5)]
    monkeypatch.setattr(CursorWrapper, "execute", count)

    def wait(approval: Approval) -> bool:
        watch: RowWatch[ApprovalStatus] = RowWatch(
            approval.pk, lambda now: now != "open", is_urgent=True
        )
        return watcher.wait(watch, 60)

    waits = [start_thread(wait, approvals[number % 5]) for number in range(50)]
    wait_until(lambda: len(watcher._watches) == 50)
    read_before = len(reads)
    wait_until(lambda: len(reads) > read_before + 5)
    for approval in approvals:
        decide(approval)

    assert [wait.result() for wait in waits] == [True] * 50
    # The last read may still be running.
    assert statements["counted-watcher"] in (len(reads) - 1, len(reads))
    assert reads[read_before + 1] == {approval.pk for approval in approvals}
