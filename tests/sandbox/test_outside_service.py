"""The sandbox's outside service: it answers by rules, acts once per key, and logs what it did."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from sandbox.outside_service.process import OutsideServiceProcess
from sandbox.outside_service.rules import AnswerRule
from sandbox.outside_service.services import (
    SERVICES,
    ServiceUnknown,
    requested_services,
    setting_of,
)
from sandbox.service_process import ServiceFailed
from tests.support.waits import wait_until

RULES = (
    AnswerRule("score", "/scores", match={"country": "kp"}, answer={"verdict": "refuse"}),
    AnswerRule("score", "/scores", answer={"verdict": "accept"}),
    AnswerRule("read", "/scores/*", "GET", answer={"verdict": "accept"}),
    AnswerRule("reject", "/rejected", status=422, answer={"code": "unknown_order"}),
)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideServiceProcess]:
    started = OutsideServiceProcess("parcels", tmp_path_factory.mktemp("parcels"), rules=RULES)
    yield started
    started.stop()


@pytest.fixture
def parcels(process: OutsideServiceProcess) -> OutsideServiceProcess:
    process.start_over()
    return process


def ask(
    parcels: OutsideServiceProcess,
    body: Any = None,
    *,
    key: str = "",
    path: str = "/scores",
    method: str = "POST",
) -> tuple[int, Any, bool]:
    """Return the status, the answer, and whether it repeats a saved response."""
    response = urllib3.request(
        method,
        f"{parcels.url}{path}",
        json=body,
        headers={"Idempotency-Key": key} if key else {},
        retries=False,
        timeout=60,
    )
    return response.status, response.json(), "Idempotent-Replayed" in response.headers


def test_the_first_rule_that_fits_answers(parcels: OutsideServiceProcess) -> None:
    assert ask(parcels, {"country": "kp"}) == (200, {"verdict": "refuse"}, False)
    assert ask(parcels, {"country": "de"}) == (200, {"verdict": "accept"}, False)
    assert ask(parcels, {}, path="/rejected") == (422, {"code": "unknown_order"}, False)
    assert ask(parcels, {}, path="/nowhere") == (404, {"code": "no_rule_fits"}, False)


def test_an_added_rule_is_tried_first_until_the_service_starts_over(
    parcels: OutsideServiceProcess,
) -> None:
    parcels.add_rule(operation="score", path="/scores", answer={"verdict": "wait"})
    assert ask(parcels, {})[1] == {"verdict": "wait"}

    parcels.start_over()
    assert ask(parcels, {})[1] == {"verdict": "accept"}


@pytest.mark.parametrize(
    "rule",
    [{}, {"operation": "x", "color": 1}, {"operation": "x", "status": 9},
     {"operation": "x", "answer": []}, {"operation": "x", "method": "BREW"}],
)  # fmt: skip
def test_an_invalid_rule_is_rejected(parcels: OutsideServiceProcess, rule: dict[str, Any]) -> None:
    with pytest.raises(ServiceFailed):
        parcels.add_rule(**rule)

    assert len(parcels.control("GET", "rules")["rules"]) == len(RULES)


def test_a_question_repeated_under_its_key_is_acted_on_once(
    parcels: OutsideServiceProcess,
) -> None:
    assert ask(parcels, {"order": "1"}, key="key-1") == (200, {"verdict": "accept"}, False)
    assert ask(parcels, {"order": "1"}, key="key-1") == (200, {"verdict": "accept"}, True)

    [act] = parcels.acts()
    assert (act["operation"], act["key"], act["request"]) == ("score", "key-1", {"order": "1"})
    assert (act["status"], act["answer"]) == (200, {"verdict": "accept"})
    assert [call["replayed"] for call in parcels.calls()] == [False, True]


def test_a_key_belongs_to_one_question(parcels: OutsideServiceProcess) -> None:
    ask(parcels, {"order": "1"}, key="key-1")

    assert ask(parcels, {"order": "2"}, key="key-1")[:2] == (422, {"code": "key_reused"})
    assert ask(parcels, {"order": "1"}, key="key-1", path="/rejected")[0] == 422
    assert len(parcels.acts()) == 1


def test_a_key_is_forgotten_after_a_day(parcels: OutsideServiceProcess) -> None:
    ask(parcels, {"order": "1"}, key="key-1")
    parcels.advance(24 * 60 * 60 + 1)

    assert ask(parcels, {"order": "1"}, key="key-1")[2] is False
    assert len(parcels.acts()) == 2


def test_reading_is_not_logged_as_an_act(parcels: OutsideServiceProcess) -> None:
    assert ask(parcels, path="/scores/1", method="GET")[:2] == (200, {"verdict": "accept"})

    assert parcels.acts() == []
    assert parcels.records() == []


BEFORE = {
    "error_before": (500, "error"),
    "rate_limit": (429, "rate_limit"),
    "lock_timeout": (429, "lock_timeout"),
    "conflict": (409, "key_in_use"),
    "refuse_key": (401, "unauthorized"),
    "decline": (422, "declined"),
}


@pytest.mark.parametrize(("fault", "expected"), BEFORE.items(), ids=BEFORE.keys())
def test_a_fault_before_the_act_does_nothing_and_saves_nothing(
    parcels: OutsideServiceProcess, fault: str, expected: tuple[int, str]
) -> None:
    parcels.add_fault("score", fault, times=1)

    assert ask(parcels, {"order": "1"}, key="key-1")[:2] == (expected[0], {"code": expected[1]})
    assert parcels.acts() == []
    assert ask(parcels, {"order": "1"}, key="key-1") == (200, {"verdict": "accept"}, False)


@pytest.mark.parametrize(
    ("fault", "acts"), [("reset_before", 0), ("reset_after", 1), ("truncated_body", 1)]
)
def test_a_broken_connection_does_not_say_whether_the_service_acted(
    parcels: OutsideServiceProcess, fault: str, acts: int
) -> None:
    parcels.add_fault("score", fault, times=1)

    with pytest.raises(urllib3.exceptions.HTTPError):
        ask(parcels, {"order": "1"}, key="key-1")

    assert len(parcels.acts()) == acts
    assert ask(parcels, {"order": "1"}, key="key-1")[1] == {"verdict": "accept"}
    assert len(parcels.acts()) == 1


def test_an_error_after_the_act_is_saved_under_the_key(parcels: OutsideServiceProcess) -> None:
    parcels.add_fault("score", "error_after", times=1)

    assert ask(parcels, {"order": "1"}, key="key-1")[0] == 500
    assert ask(parcels, {"order": "1"}, key="key-1") == (500, {"code": "error"}, True)
    assert len(parcels.acts()) == 1


def test_a_fault_hits_only_the_questions_that_it_matches(parcels: OutsideServiceProcess) -> None:
    parcels.add_fault("score", "error_before", match={"order": "1"})

    assert ask(parcels, {"order": "2"})[0] == 200
    assert ask(parcels, {"order": "1"})[0] == 500


def test_a_held_question_keeps_its_key(parcels: OutsideServiceProcess) -> None:
    rule = parcels.add_fault("score", "hold", times=1)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(ask, parcels, {"order": "1"}, key="key-1")
        wait_until(lambda: parcels.held(rule) == 1)
        assert ask(parcels, {"order": "1"}, key="key-1")[:2] == (409, {"code": "key_in_use"})
        parcels.release(rule)

        assert first.result(60) == (200, {"verdict": "accept"}, False)
    assert len(parcels.acts()) == 1


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_only_json_objects_are_questions(parcels: OutsideServiceProcess, body: bytes) -> None:
    response = urllib3.request("POST", f"{parcels.url}/scores", body=body, retries=False)

    assert response.status == 400
    assert parcels.acts() == []


def test_a_service_without_rules_accepts_everything(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    warehouse = OutsideServiceProcess("warehouse", tmp_path_factory.mktemp("warehouse"))
    try:
        assert ask(warehouse, {"a": 1}, path="/x", method="PUT")[:2] == (200, {"status": "ok"})
        assert [act["operation"] for act in warehouse.acts()] == ["ask"]
    finally:
        warehouse.stop()


def test_services_can_be_named_with_and_without_a_port() -> None:
    declared = dict.fromkeys(SERVICES, 0)
    named = {"fraud": 0, "gift-cards": 8123}

    assert requested_services("") == declared
    assert requested_services("fraud,gift-cards:8123") == declared | named
    assert setting_of("gift-cards") == "GIFT_CARDS_URL"
    for text in ("Fraud", "fraud:x", "fraud;ls", "a b", ":8"):
        with pytest.raises(ServiceUnknown):
            requested_services(text)
