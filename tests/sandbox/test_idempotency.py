"""Idempotency keys: the first response is repeated for a day, also after crashes and in races."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from urllib3.exceptions import HTTPError

from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import RawApi, StripeResponse
from tests.support.waits import wait_until

INTENT = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"}
DAY = 24 * 3600


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=100) as pool:
        yield pool


def replayed(response: StripeResponse) -> bool:
    return response.headers.get("Idempotent-Replayed") == "true"


def intents(server: SandboxServer) -> int:
    return len(server.ledger()["payment_intents"])


def test_a_repeated_request_gets_the_same_response(api: RawApi, server: SandboxServer) -> None:
    first = api.post("payment_intents", INTENT, key="k-same")
    before = intents(server)

    second = api.post("payment_intents", INTENT, key="k-same")

    assert (second.status, second.text) == (first.status, first.text)
    assert (replayed(first), replayed(second)) == (False, True)
    assert intents(server) == before


def test_a_response_is_repeated_even_if_the_object_has_changed(api: RawApi) -> None:
    intent = api.new_intent()
    confirmed = api.post(f"payment_intents/{intent}/confirm", key="k-old")
    api.post(f"payment_intents/{intent}/cancel")

    again = api.post(f"payment_intents/{intent}/confirm", key="k-old")

    assert replayed(again)
    assert again.text == confirmed.text
    assert again.body["status"] == "requires_capture"
    assert api.get(f"payment_intents/{intent}").body["status"] == "canceled"


def test_the_order_of_parameters_does_not_matter(api: RawApi) -> None:
    first = api.post("payment_intents", INTENT, key="k-order")

    second = api.post("payment_intents", dict(reversed(INTENT.items())), key="k-order")

    assert replayed(second)
    assert second.id == first.id


def test_other_parameters_under_a_used_key_are_rejected(api: RawApi, server: SandboxServer) -> None:
    first = api.post("payment_intents", INTENT, key="k-other")
    before = intents(server)

    other = api.post("payment_intents", INTENT | {"amount": 1001}, key="k-other")

    assert (other.status, other.error["type"]) == (400, "idempotency_error")
    assert "with the same parameters" in other.error["message"]
    assert intents(server) == before
    assert api.post("payment_intents", INTENT, key="k-other").id == first.id


def test_another_endpoint_under_a_used_key_is_rejected(api: RawApi) -> None:
    first, other = api.new_intent(), api.new_intent()
    api.post(f"payment_intents/{first}/confirm", key="k-path")

    rejection = api.post(f"payment_intents/{other}/confirm", key="k-path")

    assert (rejection.status, rejection.error["type"]) == (400, "idempotency_error")
    assert api.get(f"payment_intents/{other}").body["status"] == "requires_confirmation"


def test_a_decline_is_repeated_without_a_second_charge(api: RawApi, server: SandboxServer) -> None:
    parameters = INTENT | {"payment_method": "pm_card_chargeDeclined", "confirm": True}
    first = api.post("payment_intents", parameters, key="k-decline")
    charges = len(server.ledger()["charges"])

    second = api.post("payment_intents", parameters, key="k-decline")

    assert (first.status, second.status) == (402, 402)
    assert second.text == first.text
    assert replayed(second)
    assert len(server.ledger()["charges"]) == charges


def test_an_error_of_the_operation_is_saved_under_the_key(api: RawApi) -> None:
    intent = api.new_intent()
    rejection = api.post(f"payment_intents/{intent}/capture", key="k-early")
    api.post(f"payment_intents/{intent}/confirm")

    again = api.post(f"payment_intents/{intent}/capture", key="k-early")
    fresh = api.post(f"payment_intents/{intent}/capture", key="k-later")

    assert (rejection.status, again.status, fresh.status) == (400, 400, 200)
    assert replayed(again)


@pytest.mark.parametrize(
    "wrong",
    [{"amount": 0}, {"colour": "red"}, {"payment_method": "pm_card_unheard_of"}],
    ids=["invalid", "unknown parameter", "unknown payment method"],
)
def test_an_invalid_request_does_not_use_its_key(
    api: RawApi, wrong: dict[str, object], request: pytest.FixtureRequest
) -> None:
    key = request.node.name

    rejection = api.post("payment_intents", INTENT | wrong, key=key)
    corrected = api.post("payment_intents", INTENT, key=key)

    assert (rejection.status, corrected.status) == (400, 200)
    assert not replayed(corrected)


def test_reading_does_not_use_a_key(api: RawApi) -> None:
    intent = api.new_intent()
    read = api.send("GET", f"payment_intents/{intent}", {"Idempotency-Key": "k-read"})

    created = api.post("payment_intents", INTENT, key="k-read")

    assert (read.status, created.status) == (200, 200)
    assert not replayed(created)


@pytest.mark.parametrize(("length", "status"), [(255, 200), (256, 400)])
def test_a_key_has_at_most_255_characters(api: RawApi, length: int, status: int) -> None:
    assert api.post("payment_intents", INTENT, key="k" * length).status == status


def test_a_request_is_rejected_while_another_with_its_key_runs(
    api: RawApi, server: SandboxServer, pool: ThreadPoolExecutor
) -> None:
    rule = server.add_fault("payment_intents.create", "hold", times=1)
    first = pool.submit(api.post, "payment_intents", INTENT, key="k-running")
    wait_until(lambda: server.held(rule) == 1)

    second = api.post("payment_intents", INTENT, key="k-running")
    server.release(rule)

    assert (second.status, second.error["code"]) == (409, "idempotency_key_in_use")
    assert first.result().status == 200
    late = api.post("payment_intents", INTENT, key="k-running")
    assert (late.status, late.id, replayed(late)) == (200, first.result().id, True)


def test_a_hundred_concurrent_requests_with_one_key_create_one_intent(
    own_api: RawApi, own_server: SandboxServer, pool: ThreadPoolExecutor
) -> None:
    responses = list(
        pool.map(lambda _: own_api.post("payment_intents", INTENT, key="k-race"), range(100))
    )

    created = [response for response in responses if response.status == 200]
    assert {response.status for response in responses} <= {200, 409}
    assert len({response.id for response in created}) == 1
    assert Counter(map(replayed, created))[False] == 1
    assert intents(own_server) == 1


def test_a_key_can_be_used_again_after_a_day(own_api: RawApi, own_server: SandboxServer) -> None:
    first = own_api.post("payment_intents", INTENT, key="k-day")
    own_server.advance(DAY - 60)
    within = own_api.post("payment_intents", INTENT, key="k-day")

    own_server.advance(120)
    after = own_api.post("payment_intents", INTENT, key="k-day")

    assert (within.id, replayed(within)) == (first.id, True)
    assert after.status == 200
    assert not replayed(after)
    assert after.id != first.id


def test_keys_and_their_age_survive_a_crash(own_api: RawApi, own_server: SandboxServer) -> None:
    first = own_api.post("payment_intents", INTENT, key="k-crash")
    own_server.advance(DAY - 60)
    own_server.kill()
    own_server.restart()

    within = own_api.post("payment_intents", INTENT, key="k-crash")
    own_server.advance(120)
    after = own_api.post("payment_intents", INTENT, key="k-crash")

    assert (within.text, replayed(within)) == (first.text, True)
    assert after.id != first.id


def test_a_caller_that_lost_the_response_gets_it_under_the_key(
    api: RawApi, server: SandboxServer
) -> None:
    intent = api.new_intent()
    server.add_fault("payment_intents.confirm", "reset_after", times=1)
    with pytest.raises(HTTPError):
        api.post(f"payment_intents/{intent}/confirm", key="k-died")

    response = api.post(f"payment_intents/{intent}/confirm", key="k-died")

    assert (response.status, response.body["status"]) == (200, "requires_capture")
    assert replayed(response)
