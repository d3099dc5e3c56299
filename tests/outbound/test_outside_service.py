"""Calls from ``OutsideService`` to a running service of the sandbox: faults, retries, its log of acts."""

from datetime import timedelta

import pytest
from django.conf import settings

from outbound.deadline import Deadline
from outbound.errors import (
    OUTBOUND_TRANSIENT,
    AccessDenied,
    NoAnswer,
    OutboundError,
    RequestRejected,
    ServiceBusy,
)
from outbound.service import OutsideService
from sandbox.outside_service.process import OutsideServiceProcess
from tests.support.outside_services import StartOutsideService

ORDER = {"order_id": "42", "total_minor": 4500}


def parcels_url() -> str:
    return str(getattr(settings, "PARCELS_URL"))  # noqa: B009 - only the fixture sets it


CLIENT = OutsideService("parcels", base_url=parcels_url)


@pytest.fixture
def parcels(outside_service: StartOutsideService) -> OutsideServiceProcess:
    service = outside_service("parcels")
    service.add_rule(operation="score", path="/scores", answer={"verdict": "accept"})
    return service


def score(key: str = "score-42", seconds: float = 30) -> dict[str, object]:
    deadline = Deadline.after(timedelta(seconds=seconds))
    return CLIENT.post("score", "/scores", ORDER, key=key, deadline=deadline)


def test_the_service_acts_once_for_a_key_and_repeats_its_answer(
    parcels: OutsideServiceProcess,
) -> None:
    assert score() == score() == {"verdict": "accept"}

    [act] = parcels.acts()
    assert (act["operation"], act["key"], act["request"]) == ("score", "score-42", ORDER)
    assert [call["replayed"] for call in parcels.calls()] == [False, True]


@pytest.mark.parametrize(
    ("fault", "error", "acts"),
    [
        ("rate_limit", ServiceBusy, 0),
        ("lock_timeout", ServiceBusy, 0),
        ("conflict", ServiceBusy, 0),
        ("refuse_key", AccessDenied, 0),
        ("decline", RequestRejected, 0),
        ("error_before", NoAnswer, 0),
        ("reset_before", NoAnswer, 0),
        ("reset_after", NoAnswer, 1),
        ("truncated_body", NoAnswer, 1),
    ],
)
def test_a_repeated_call_after_a_fault_has_one_effect(
    parcels: OutsideServiceProcess, fault: str, error: type[OutboundError], acts: int
) -> None:
    parcels.add_fault("score", fault, times=1)

    with pytest.raises(OutboundError) as raised:
        score()

    assert type(raised.value) is error
    assert isinstance(raised.value, OUTBOUND_TRANSIENT) is (error is ServiceBusy)
    assert len(parcels.acts()) == acts
    assert score() == {"verdict": "accept"}
    assert len(parcels.acts()) == 1


@pytest.mark.parametrize(("fault", "acts"), [("timeout_before", 0), ("timeout_after", 1)])
def test_a_service_that_is_silent_until_the_deadline_gives_no_answer(
    parcels: OutsideServiceProcess, fault: str, acts: int
) -> None:
    parcels.add_fault("score", fault, times=1)

    with pytest.raises(NoAnswer):
        score(seconds=0.5)

    assert len(parcels.acts()) == acts


def test_each_test_gets_the_service_without_earlier_acts_rules_and_faults(
    parcels: OutsideServiceProcess, outside_service: StartOutsideService
) -> None:
    score()
    parcels.add_fault("score", "error_before")

    again = outside_service("parcels")

    assert again is parcels
    assert parcels_url() == parcels.url
    assert (parcels.acts(), parcels.calls()) == ([], [])
    assert score() == {"status": "ok"}
