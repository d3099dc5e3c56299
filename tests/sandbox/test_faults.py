"""Fault rules: each fault has its documented effect, on the calls that it matches and no others."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from sandbox.service_process import ServiceFailed
from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import TEST_KEY, RawApi
from tests.support.waits import wait_until


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield pool


def status_of(api: RawApi, intent: str) -> str:
    return str(api.get(f"payment_intents/{intent}").body["status"])


def confirm_once(server: SandboxServer, intent: str, *, read_seconds: float) -> None:
    timeout = urllib3.Timeout(connect=60, read=read_seconds)
    with urllib3.PoolManager(retries=False, timeout=timeout) as http:
        http.request(
            "POST",
            f"{server.url}/v1/payment_intents/{intent}/confirm",
            headers={"Authorization": f"Bearer {TEST_KEY}", "Idempotency-Key": f"k-{intent}"},
        )


ERRORS_WITHOUT_EFFECT = [
    ("error_before", (500, "api_error", None)),
    ("rate_limit", (429, "invalid_request_error", "rate_limit")),
    ("lock_timeout", (429, "invalid_request_error", "lock_timeout")),
    ("conflict", (409, "idempotency_error", "idempotency_key_in_use")),
    ("refuse_key", (401, "invalid_request_error", None)),
]


@pytest.mark.parametrize(("fault", "response"), ERRORS_WITHOUT_EFFECT)
def test_a_fault_before_the_effect_only_returns_its_error(
    api: RawApi, server: SandboxServer, fault: str, response: tuple[int, str, str | None]
) -> None:
    intent = api.new_intent()
    server.add_fault("payment_intents.confirm", fault, times=1)

    rejection = api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")

    assert (rejection.status, rejection.error["type"], rejection.error.get("code")) == response
    assert status_of(api, intent) == "requires_confirmation"
    again = api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")
    assert (again.status, again.body["status"]) == (200, "requires_capture")
    assert "Idempotent-Replayed" not in again.headers


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_authenticationRequired"])
def test_the_decline_fault_declines_every_card(
    api: RawApi, server: SandboxServer, card: str
) -> None:
    intent = api.new_intent(payment_method=card)
    server.add_fault("payment_intents.confirm", "decline", times=1)

    declined = api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")

    assert (declined.status, declined.error["code"]) == (402, "card_declined")
    assert declined.error["decline_code"] == "generic_decline"
    assert status_of(api, intent) == "requires_payment_method"
    charges = server.ledger()["charges"]
    assert [charge["status"] for charge in charges if charge["payment_intent"] == intent] == [
        "failed"
    ]
    again = api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (402, "true")


def test_an_error_after_the_effect_is_saved_under_the_key(
    api: RawApi, server: SandboxServer
) -> None:
    intent = api.new_intent()
    server.add_fault("payment_intents.confirm", "error_after", times=1)

    error = api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")
    again = api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")

    assert (error.status, error.error["type"]) == (500, "api_error")
    assert status_of(api, intent) == "requires_capture"
    assert (again.status, again.text) == (500, error.text)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_an_error_after_the_effect_replaces_a_decline_too(
    api: RawApi, server: SandboxServer
) -> None:
    intent = api.new_intent(payment_method="pm_card_chargeDeclined")
    server.add_fault("payment_intents.confirm", "error_after", times=1)

    error = api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")

    assert error.status == 500
    assert status_of(api, intent) == "requires_payment_method"
    assert api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}").status == 500


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("timeout_before", ReadTimeoutError, "requires_confirmation"),
        ("timeout_after", ReadTimeoutError, "requires_capture"),
        ("reset_before", ProtocolError, "requires_confirmation"),
        ("reset_after", ProtocolError, "requires_capture"),
        ("truncated_body", HTTPError, "requires_capture"),
    ],
)
def test_a_lost_response_does_not_say_whether_the_effect_happened(
    api: RawApi, server: SandboxServer, fault: str, error: type[Exception], status: str
) -> None:
    intent = api.new_intent()
    server.add_fault("payment_intents.confirm", fault, times=1)

    with pytest.raises(error):
        confirm_once(server, intent, read_seconds=0.3 if error is ReadTimeoutError else 60)

    wait_until(lambda: status_of(api, intent) == status)
    again = api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")
    assert (again.status, again.body["status"]) == (200, "requires_capture")
    assert ("Idempotent-Replayed" in again.headers) == (status == "requires_capture")
    charges = server.ledger()["charges"]
    assert len([charge for charge in charges if charge["payment_intent"] == intent]) == 1


def test_a_reset_is_a_tcp_reset_and_not_an_orderly_close(server: SandboxServer) -> None:
    server.add_fault("payment_intents.list", "reset_before", times=1)
    request = f"GET /v1/payment_intents HTTP/1.1\r\nAuthorization: Bearer {TEST_KEY}\r\n\r\n"

    with server.connect() as connection:
        connection.sendall(request.encode())
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_truncated_body_has_correct_headers_and_its_first_half(
    server: SandboxServer, api: RawApi
) -> None:
    intent = api.new_intent()
    server.add_fault("payment_intents.retrieve", "truncated_body", times=1)

    with urllib3.PoolManager(retries=False) as http:
        truncated = http.request(
            "GET",
            f"{server.url}/v1/payment_intents/{intent}",
            headers={"Authorization": f"Bearer {TEST_KEY}"},
            preload_content=False,
        )
        length = int(truncated.headers["Content-Length"])
        beginning = truncated.read(length // 2)
        with pytest.raises(ProtocolError):
            truncated.read(length)

    assert truncated.status == 200
    assert beginning.startswith(f'{{"id":"{intent}"'.encode())
    assert len(beginning) == length // 2


def test_latency_only_delays_the_response(api: RawApi, server: SandboxServer) -> None:
    intent = api.new_intent()
    server.add_fault("payment_intents.confirm", "latency", times=1, latency_ms=300)
    start = time.monotonic()

    response = api.post(f"payment_intents/{intent}/confirm")

    assert time.monotonic() - start >= 0.3
    assert (response.status, response.body["status"]) == (200, "requires_capture")


def test_the_general_latency_delays_calls_without_a_rule(
    api: RawApi, server: SandboxServer
) -> None:
    server.set_latency(300)
    start = time.monotonic()

    response = api.get("payment_intents/pi_unknown")

    assert time.monotonic() - start >= 0.3
    assert response.status == 404


def test_a_held_call_has_no_effect_until_it_is_released(
    api: RawApi, server: SandboxServer, pool: ThreadPoolExecutor
) -> None:
    intent = api.new_intent()
    rule = server.add_fault("payment_intents.confirm", "hold", times=1)
    held = pool.submit(api.post, f"payment_intents/{intent}/confirm")
    wait_until(lambda: server.held(rule) == 1)
    assert status_of(api, intent) == "requires_confirmation"

    released = server.release(rule)

    assert released == 1
    assert held.result().body["status"] == "requires_capture"
    assert server.held(rule) == 0


def test_a_call_held_after_its_effect_only_lacks_its_response(
    api: RawApi, server: SandboxServer, pool: ThreadPoolExecutor
) -> None:
    intent = api.new_intent()
    rule = server.add_fault("payment_intents.confirm", "hold_after", times=1)
    held = pool.submit(api.post, f"payment_intents/{intent}/confirm", key=f"k-{intent}")
    wait_until(lambda: server.held(rule) == 1)

    meanwhile = api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")

    assert meanwhile.headers["Idempotent-Replayed"] == "true"
    assert not held.done()
    server.release(rule)
    assert held.result().text == meanwhile.text


def test_a_held_call_is_carried_out_though_its_caller_disconnected(
    api: RawApi, server: SandboxServer
) -> None:
    intent = api.new_intent()
    rule = server.add_fault("payment_intents.confirm", "hold", times=1)
    with pytest.raises(ReadTimeoutError):
        confirm_once(server, intent, read_seconds=0.3)
    assert (server.held(rule), status_of(api, intent)) == (1, "requires_confirmation")

    server.release(rule)

    wait_until(lambda: status_of(api, intent) == "requires_capture")


def test_a_held_confirmation_fails_after_a_cancel_that_overtook_it(
    api: RawApi, server: SandboxServer, pool: ThreadPoolExecutor
) -> None:
    intent = api.new_intent()
    rule = server.add_fault("payment_intents.confirm", "hold", times=1)
    held = pool.submit(api.post, f"payment_intents/{intent}/confirm")
    wait_until(lambda: server.held(rule) == 1)
    assert api.post(f"payment_intents/{intent}/cancel").status == 200

    server.release(rule)

    assert held.result().status == 400
    assert held.result().error["code"] == "payment_intent_unexpected_state"
    assert status_of(api, intent) == "canceled"


def test_removing_a_rule_releases_its_held_calls(
    api: RawApi, server: SandboxServer, pool: ThreadPoolExecutor
) -> None:
    intent = api.new_intent()
    rule = server.add_fault("payment_intents.confirm", "hold")
    held = pool.submit(api.post, f"payment_intents/{intent}/confirm")
    wait_until(lambda: server.held(rule) == 1)

    server.control("DELETE", f"faults/{rule}")

    assert held.result().status == 200
    assert server.control("GET", "faults")["rules"] == []


MATCHES: list[tuple[str, str, dict[str, Any], bool]] = [
    ("the operation", "payment_intents.confirm", {}, True),
    ("its family", "payment_intents.*", {}, True),
    ("everything", "*", {}, True),
    ("another operation", "payment_intents.cancel", {}, False),
    ("another family", "refunds.*", {}, False),
    ("the stored amount", "*", {"amount": 1000}, True),
    ("another amount", "*", {"amount": 1001}, False),
    ("the metadata", "*", {"metadata.order_id": "42"}, True),
    ("other metadata", "*", {"metadata.order_id": "43"}, False),
    ("metadata that it does not have", "*", {"metadata.parcel": "42"}, False),
    ("the card in the request", "*", {"payment_method": "pm_card_amex"}, True),
    ("the card before the request", "*", {"payment_method": "pm_card_visa"}, False),
    ("all of it", "*", {"amount": "1000", "metadata.order_id": "42"}, True),
    ("half of it", "*", {"amount": 1000, "metadata.order_id": "43"}, False),
]


@pytest.mark.parametrize(
    ("operation", "match", "hits"),
    [case[1:] for case in MATCHES],
    ids=[case[0] for case in MATCHES],
)
def test_a_rule_hits_the_calls_that_it_matches(
    api: RawApi, server: SandboxServer, operation: str, match: dict[str, Any], *, hits: bool
) -> None:
    intent = api.new_intent(metadata={"order_id": "42"})
    rule = server.add_fault(operation, "rate_limit", match=match)

    response = api.post(f"payment_intents/{intent}/confirm", {"payment_method": "pm_card_amex"})

    assert response.status == (429 if hits else 200)
    assert server.hits(rule) == (1 if hits else 0)


def test_a_rule_matches_the_parameters_of_a_new_object(api: RawApi, server: SandboxServer) -> None:
    server.add_fault("payment_intents.create", "rate_limit", match={"metadata.order_id": "66"})
    intent = {"amount": 100, "currency": "usd"}

    hit = api.post("payment_intents", intent | {"metadata": {"order_id": "66"}})
    missed = api.post("payment_intents", intent | {"metadata": {"order_id": "67"}})

    assert (hit.status, missed.status) == (429, 200)


def test_a_refund_matches_the_fields_of_its_payment(api: RawApi, server: SandboxServer) -> None:
    hit, missed = api.captured(metadata={"order_id": "70"}), api.captured()
    server.add_fault("refunds.create", "rate_limit", match={"metadata.order_id": "70"})

    assert api.post("refunds", {"payment_intent": hit}).status == 429
    assert api.post("refunds", {"payment_intent": missed}).status == 200


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("payment_intents.retrieve", "payment_intents/{intent}"),
        ("payment_intents.list", "payment_intents"),
        ("refunds.list", "refunds"),
    ],
)
def test_faults_hit_reads_too(
    api: RawApi, server: SandboxServer, operation: str, path: str
) -> None:
    intent = api.new_intent()
    server.add_fault(operation, "error_before", times=1)

    statuses = [api.get(path.format(intent=intent)).status for _ in range(2)]

    assert statuses == [500, 200]


def test_a_rule_hits_at_most_as_often_as_its_times(api: RawApi, server: SandboxServer) -> None:
    rule = server.add_fault("payment_intents.create", "rate_limit", times=2)

    statuses = [
        api.post("payment_intents", {"amount": 100, "currency": "usd"}).status for _ in "abc"
    ]

    assert statuses == [429, 429, 200]
    assert server.hits(rule) == 2


def test_the_same_seed_hits_the_same_calls(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def statuses_with(seed: int) -> list[int]:
        server = SandboxServer(tmp_path_factory.mktemp("seeded"), seed=seed)
        api = RawApi(server.url)
        rule = server.add_fault("payment_intents.list", "rate_limit", rate=0.5)
        statuses = [api.get("payment_intents").status for _ in range(40)]
        assert 0 < server.hits(rule) < 40
        api.close()
        server.stop()
        return statuses

    first, second, other = statuses_with(1), statuses_with(1), statuses_with(2)

    assert first == second
    assert first != other


def test_the_call_log_has_the_result_of_each_call(api: RawApi, server: SandboxServer) -> None:
    start = server.calls()[-1]["n"] if server.calls() else 0
    intent = api.new_intent()
    server.add_fault("payment_intents.confirm", "reset_after", times=1)
    with pytest.raises(HTTPError):
        api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")
    api.post(f"payment_intents/{intent}/confirm", key=f"k-{intent}")

    calls = server.calls(since=start)

    assert [call["n"] for call in calls] == [start + 1, start + 2, start + 3]
    assert [call["operation"] for call in calls] == [
        "payment_intents.create",
        "payment_intents.confirm",
        "payment_intents.confirm",
    ]
    assert {call["object"] for call in calls} == {intent}
    assert [call["key"] for call in calls] == [None, f"k-{intent}", f"k-{intent}"]
    assert [call["status"] for call in calls] == [200, None, 200]
    assert [call["fault"] for call in calls] == [None, "reset_after", None]
    assert [call["replayed"] for call in calls] == [False, False, True]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"operation": "*", "fault": "earthquake"}),
        ("faults", {"operation": "*", "fault": "latency", "rate": 2}),
        ("faults", {"operation": "*", "fault": "latency", "latency_ms": "long"}),
        ("faults", {"operation": "*", "fault": "latency", "match": "amex"}),
        ("faults", {"operation": "*", "fault": "latency", "sometimes": True}),
        ("release", {"rule": 0}),
        ("clock", {"advance_seconds": -1}),
        ("latency", {}),
    ],
)
def test_an_invalid_control_request_is_rejected(
    server: SandboxServer, path: str, body: dict[str, Any]
) -> None:
    with pytest.raises(ServiceFailed, match="error"):
        server.control("POST", path, body)

    assert server.control("GET", "faults") == {"rules": [], "latency_ms": 0}
