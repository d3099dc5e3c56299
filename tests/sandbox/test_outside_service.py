"""The sandbox's outside service: it answers by rules, acts once per key, and logs what it did."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from sandbox.outside_service.process import OutsideServiceProcess
from sandbox.outside_service.rules import AnswerRule
from sandbox.outside_service.services import ServiceUnknown, requested_services, setting_of
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
    started = OutsideServiceProcess("fraud", tmp_path_factory.mktemp("fraud"), rules=RULES)
    yield started
    started.stop()


@pytest.fixture
def fraud(process: OutsideServiceProcess) -> OutsideServiceProcess:
    process.start_over()
    return process


def ask(
    fraud: OutsideServiceProcess,
    body: Any = None,
    *,
    key: str = "",
    path: str = "/scores",
    method: str = "POST",
) -> tuple[int, Any, bool]:
    """Return the status, the answer, and whether it repeats a saved response."""
    response = urllib3.request(
        method,
        f"{fraud.url}{path}",
        json=body,
        headers={"Idempotency-Key": key} if key else {},
        retries=False,
        timeout=60,
    )
    return response.status, response.json(), "Idempotent-Replayed" in response.headers


def test_the_first_rule_that_fits_answers(fraud: OutsideServiceProcess) -> None:
    assert ask(fraud, {"country": "kp"}) == (200, {"verdict": "refuse"}, False)
    assert ask(fraud, {"country": "de"}) == (200, {"verdict": "accept"}, False)
    assert ask(fraud, {}, path="/rejected") == (422, {"code": "unknown_order"}, False)
    assert ask(fraud, {}, path="/nowhere") == (404, {"code": "no_rule_fits"}, False)


def test_an_added_rule_is_tried_first_until_the_service_starts_over(
    fraud: OutsideServiceProcess,
) -> None:
    fraud.add_rule(operation="score", path="/scores", answer={"verdict": "wait"})
    assert ask(fraud, {})[1] == {"verdict": "wait"}

    fraud.start_over()
    assert ask(fraud, {})[1] == {"verdict": "accept"}


@pytest.mark.parametrize(
    "rule",
    [{}, {"operation": "x", "color": 1}, {"operation": "x", "status": 9},
     {"operation": "x", "answer": []}, {"operation": "x", "method": "BREW"}],
)  # fmt: skip
def test_an_invalid_rule_is_rejected(fraud: OutsideServiceProcess, rule: dict[str, Any]) -> None:
    with pytest.raises(ServiceFailed):
        fraud.add_rule(**rule)

    assert len(fraud.control("GET", "rules")["rules"]) == len(RULES)


def test_a_question_repeated_under_its_key_is_acted_on_once(
    fraud: OutsideServiceProcess,
) -> None:
    assert ask(fraud, {"order": "1"}, key="key-1") == (200, {"verdict": "accept"}, False)
    assert ask(fraud, {"order": "1"}, key="key-1") == (200, {"verdict": "accept"}, True)

    [act] = fraud.acts()
    assert (act["operation"], act["key"], act["request"]) == ("score", "key-1", {"order": "1"})
    assert (act["status"], act["answer"]) == (200, {"verdict": "accept"})
    assert [call["replayed"] for call in fraud.calls()] == [False, True]


def test_a_key_belongs_to_one_question(fraud: OutsideServiceProcess) -> None:
    ask(fraud, {"order": "1"}, key="key-1")

    assert ask(fraud, {"order": "2"}, key="key-1")[:2] == (422, {"code": "key_reused"})
    assert ask(fraud, {"order": "1"}, key="key-1", path="/rejected")[0] == 422
    assert len(fraud.acts()) == 1


def test_a_key_is_forgotten_after_a_day(fraud: OutsideServiceProcess) -> None:
    ask(fraud, {"order": "1"}, key="key-1")
    fraud.advance(24 * 60 * 60 + 1)

    assert ask(fraud, {"order": "1"}, key="key-1")[2] is False
    assert len(fraud.acts()) == 2


def test_reading_is_not_logged_as_an_act(fraud: OutsideServiceProcess) -> None:
    assert ask(fraud, path="/scores/1", method="GET")[:2] == (200, {"verdict": "accept"})

    assert fraud.acts() == []
    assert fraud.records() == []


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
    fraud: OutsideServiceProcess, fault: str, expected: tuple[int, str]
) -> None:
    fraud.add_fault("score", fault, times=1)

    assert ask(fraud, {"order": "1"}, key="key-1")[:2] == (expected[0], {"code": expected[1]})
    assert fraud.acts() == []
    assert ask(fraud, {"order": "1"}, key="key-1") == (200, {"verdict": "accept"}, False)


@pytest.mark.parametrize(
    ("fault", "acts"), [("reset_before", 0), ("reset_after", 1), ("truncated_body", 1)]
)
def test_a_broken_connection_does_not_say_whether_the_service_acted(
    fraud: OutsideServiceProcess, fault: str, acts: int
) -> None:
    fraud.add_fault("score", fault, times=1)

    with pytest.raises(urllib3.exceptions.HTTPError):
        ask(fraud, {"order": "1"}, key="key-1")

    assert len(fraud.acts()) == acts
    assert ask(fraud, {"order": "1"}, key="key-1")[1] == {"verdict": "accept"}
    assert len(fraud.acts()) == 1


def test_an_error_after_the_act_is_saved_under_the_key(fraud: OutsideServiceProcess) -> None:
    fraud.add_fault("score", "error_after", times=1)

    assert ask(fraud, {"order": "1"}, key="key-1")[0] == 500
    assert ask(fraud, {"order": "1"}, key="key-1") == (500, {"code": "error"}, True)
    assert len(fraud.acts()) == 1


def test_a_fault_hits_only_the_questions_that_it_matches(fraud: OutsideServiceProcess) -> None:
    fraud.add_fault("score", "error_before", match={"order": "1"})

    assert ask(fraud, {"order": "2"})[0] == 200
    assert ask(fraud, {"order": "1"})[0] == 500


def test_a_held_question_keeps_its_key(fraud: OutsideServiceProcess) -> None:
    rule = fraud.add_fault("score", "hold", times=1)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(ask, fraud, {"order": "1"}, key="key-1")
        wait_until(lambda: fraud.held(rule) == 1)
        assert ask(fraud, {"order": "1"}, key="key-1")[:2] == (409, {"code": "key_in_use"})
        fraud.release(rule)

        assert first.result(60) == (200, {"verdict": "accept"}, False)
    assert len(fraud.acts()) == 1


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_only_json_objects_are_questions(fraud: OutsideServiceProcess, body: bytes) -> None:
    response = urllib3.request("POST", f"{fraud.url}/scores", body=body, retries=False)

    assert response.status == 400
    assert fraud.acts() == []


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
    assert requested_services("") == {}
    assert requested_services("fraud,gift-cards:8123") == {"fraud": 0, "gift-cards": 8123}
    assert setting_of("gift-cards") == "GIFT_CARDS_URL"
    for text in ("Fraud", "fraud:x", "fraud;ls", "a b", ":8"):
        with pytest.raises(ServiceUnknown):
            requested_services(text)
