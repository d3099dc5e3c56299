"""Calls to an outside service: what is sent, how each answer is read, and what is refused."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import transaction
from prometheus_client import REGISTRY

from outbound.deadline import Deadline
from outbound.errors import (
    OUTBOUND_TRANSIENT,
    AccessDenied,
    CallInsideTransaction,
    DeadlinePassed,
    NoAnswer,
    OutboundError,
    RequestRejected,
    ServiceBusy,
)
from outbound.service import OutsideService, current_call
from tests.support.canned_http import CannedResponse, CannedServer


@pytest.fixture
def server() -> Iterator[CannedServer]:
    with CannedServer() as server:
        server.answer = CannedResponse('{"verdict": "accept"}')
        yield server


@pytest.fixture
def fraud(server: CannedServer) -> OutsideService:
    return OutsideService(
        "fraud", base_url=lambda: f"{server.url}/v1/", headers=lambda: {"Authorization": "Bearer k"}
    )


def soon() -> Deadline:
    return Deadline.after(timedelta(seconds=30))


def ask(service: OutsideService) -> dict[str, object]:
    return service.post("score", "/scores", {"order": "42"}, key="key-1", deadline=soon())


def counted(outcome: str) -> float:
    labels = {"service": "fraud", "operation": "score", "outcome": outcome}
    return REGISTRY.get_sample_value("holdfast_outbound_calls_total", labels) or 0


def test_a_post_sends_json_and_its_idempotency_key(
    server: CannedServer, fraud: OutsideService
) -> None:
    assert ask(fraud) == {"verdict": "accept"}

    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/scores")
    assert json.loads(request.body) == {"order": "42"}
    assert request.headers["Idempotency-Key"] == "key-1"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer k"


def test_a_call_belongs_to_the_thread_that_makes_it(fraud: OutsideService) -> None:
    with fraud.call("read", soon()) as ours, ThreadPoolExecutor(1) as threads:
        with pytest.raises(LookupError):
            threads.submit(current_call).result()

        assert current_call() is ours


def test_a_get_sends_neither_key_nor_body(server: CannedServer, fraud: OutsideService) -> None:
    assert fraud.get("read", "/scores/42", deadline=soon()) == {"verdict": "accept"}

    [request] = server.requests
    assert (request.method, request.path, request.body) == ("GET", "/v1/scores/42", "")
    assert "Idempotency-Key" not in request.headers


def test_nothing_is_posted_without_a_key(server: CannedServer, fraud: OutsideService) -> None:
    with pytest.raises(ValueError, match="stored key"):
        fraud.post("score", "/scores", {}, key="", deadline=soon())

    assert server.connections == 0


ANSWERS = {
    "timed out": (CannedResponse("", 408), ServiceBusy, "busy"),
    "an equal request is in flight": (CannedResponse("{}", 409), ServiceBusy, "busy"),
    "too many requests": (CannedResponse("{}", 429), ServiceBusy, "busy"),
    "no credentials": (CannedResponse("{}", 401), AccessDenied, "access_denied"),
    "no permission": (CannedResponse("<html>", 403), AccessDenied, "access_denied"),
    "rejected": (CannedResponse('{"code": "unknown_order"}', 422), RequestRejected, "rejected"),
    "not found, as a page": (CannedResponse("<html>", 404), RequestRejected, "rejected"),
    "broken": (CannedResponse("{}", 500), NoAnswer, "unknown"),
    "unavailable": (CannedResponse("<html>", 503), NoAnswer, "unknown"),
    "a redirect": (
        CannedResponse("", 307, {"Location": "http://127.0.0.1:9/"}),
        NoAnswer,
        "unknown",
    ),
    "a page": (CannedResponse("<html>"), NoAnswer, "unknown"),
    "half an object": (CannedResponse('{"verdict": '), NoAnswer, "unknown"),
    "not an object": (CannedResponse("[]"), NoAnswer, "unknown"),
    "no text": (CannedResponse(b"\xff\xfe"), NoAnswer, "unknown"),
}


@pytest.mark.parametrize(("answer", "expected", "outcome"), ANSWERS.values(), ids=ANSWERS.keys())
def test_each_answer_raises_its_error_and_counts_its_outcome(
    server: CannedServer,
    fraud: OutsideService,
    answer: CannedResponse,
    expected: type[OutboundError],
    outcome: str,
) -> None:
    server.answer = answer
    before = counted(outcome)

    with pytest.raises(OutboundError) as raised:
        ask(fraud)

    assert type(raised.value) is expected
    assert isinstance(raised.value, OUTBOUND_TRANSIENT) is (expected is ServiceBusy)
    assert counted(outcome) == before + 1
    assert len(server.requests) == 1


def test_a_rejection_carries_the_services_code(server: CannedServer, fraud: OutsideService) -> None:
    server.answer = CannedResponse('{"code": "unknown_order"}', 422)

    with pytest.raises(RequestRejected) as rejected:
        ask(fraud)

    assert (rejected.value.code, rejected.value.status) == ("unknown_order", 422)


def test_a_rejection_without_a_code_carries_its_status(
    server: CannedServer, fraud: OutsideService
) -> None:
    server.answer = CannedResponse('{"code": 7}', 400)

    with pytest.raises(RequestRejected) as rejected:
        ask(fraud)

    assert rejected.value.code == "400"


def test_an_unreachable_server_raises_no_answer(fraud: OutsideService) -> None:
    nowhere = OutsideService("fraud", base_url=lambda: "http://127.0.0.1:9")
    before = counted("unknown")

    with pytest.raises(NoAnswer):
        ask(nowhere)

    assert counted("unknown") == before + 1


def test_a_service_can_name_the_outcomes_of_its_errors(server: CannedServer) -> None:
    server.answer = CannedResponse('{"code": "fraud"}', 422)
    fraud = OutsideService(
        "fraud", base_url=lambda: server.url, outcomes={RequestRejected: "declined"}
    )
    before = counted("declined"), counted("rejected")

    with pytest.raises(RequestRejected):
        ask(fraud)

    assert (counted("declined"), counted("rejected")) == (before[0] + 1, before[1])


@pytest.mark.django_db(transaction=True)
def test_a_call_inside_a_transaction_is_refused(
    server: CannedServer, fraud: OutsideService
) -> None:
    before = counted("not_sent")

    with transaction.atomic(), pytest.raises(CallInsideTransaction):
        ask(fraud)

    assert server.connections == 0
    assert counted("not_sent") == before + 1
    assert ask(fraud) == {"verdict": "accept"}


def test_a_passed_deadline_sends_nothing(server: CannedServer, fraud: OutsideService) -> None:
    before = counted("not_sent")

    with pytest.raises(DeadlinePassed):
        fraud.post("score", "/scores", {}, key="key-1", deadline=Deadline.after(timedelta(0)))

    assert server.connections == 0
    assert counted("not_sent") == before + 1


def test_nothing_is_sent_outside_of_a_call(server: CannedServer, fraud: OutsideService) -> None:
    ask(fraud)

    with pytest.raises(LookupError):
        fraud.send("GET", server.url, {}, None)
    with pytest.raises(LookupError):
        current_call()

    assert len(server.requests) == 1


def test_threads_share_the_connections(server: CannedServer, fraud: OutsideService) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: ask(fraud), range(100)))

    assert answers == [{"verdict": "accept"}] * 100
    assert len(server.requests) == 100
    assert server.connections <= 8


FORKS = """
import os, sys
from datetime import timedelta
from django.conf import settings
settings.configure(DATABASES={})
from outbound.deadline import Deadline
from outbound.service import OutsideService
service = OutsideService("fraud", base_url=lambda: sys.argv[1])
ask = lambda: service.get("read", "/", deadline=Deadline.after(timedelta(seconds=30)))
ask()
child = os.fork()
ask()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_opens_a_connection_of_its_own(server: CannedServer) -> None:
    subprocess.run([sys.executable, "-c", FORKS, server.url], check=True)

    assert len(server.requests) == 3
    assert server.connections == 2
