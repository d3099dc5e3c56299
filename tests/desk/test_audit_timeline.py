"""The timeline for staff shows a call to another system without the payment's ids and keys."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from desk.audit_timeline import TimelineEntry, audit_timeline
from desk.order_detail import order_detail
from sagas import registry
from sagas.batch import Output
from sagas.definition import Saga, remote_step
from sagas.descriptions import StepText
from sagas.models import SagaRun, StepAttempt
from sagas.work import Attempt
from tests.support.desk_actions import run_of


def check_address(attempt: Attempt) -> Output:
    raise AssertionError("the tests only read the journal")


@pytest.fixture(autouse=True)
def _address_check() -> Iterator[None]:
    """A saga with a remote step that does not call the payment provider."""
    step = remote_step(
        queue="checkout",
        system="parcels",
        describe=StepText("address check", "Checking the address", "Insure {amount} by {method}."),
        operations=("create", "refund"),
    )(check_address)
    saga = registry.register(Saga("parcel", 1, (step,), compensation_queue="compensation"))
    yield
    registry.unregister(saga)


def entries_of_the_call(order_id: UUID, outcome: str = "done") -> list[TimelineEntry]:
    """Return the two entries of a call to the other system that the journal has as ended."""
    StepAttempt.objects.create(
        run=run_of(order_id), step="check_address", direction="forward", number=1, fence=99,
        outcome=outcome, output={"town": "Ulm"}, ended_at=timezone.now() + timedelta(seconds=1),
    )  # fmt: skip
    entries = audit_timeline(order_detail(order_id))
    return [entry for entry in entries if entry.title.startswith("address check")]


def test_a_call_to_another_system_shows_its_text_before_there_is_a_payment(waiting: UUID) -> None:
    started, ended = entries_of_the_call(waiting)

    assert (started.kind, started.title) == ("to parcels", "address check: called, attempt 1")
    assert started.detail == "Insure 25.00 EUR by pm_card_visa."
    assert (ended.kind, ended.data) == ("from parcels", [("town", "Ulm")])


def test_a_call_to_another_system_shows_no_ids_and_keys_of_the_payment(confirmed: UUID) -> None:
    started, ended = entries_of_the_call(confirmed)

    assert started.detail == "Insure 10.00 EUR by pm_card_visa."
    assert started.data == []
    assert ended.data == [("town", "Ulm")]


@pytest.mark.parametrize(
    ("outcome", "title", "is_tried_again"),
    [
        ("done", "address check: done", False),
        (
            "proceeded",
            "address check: no answer: the run continued with the declared result",
            False,
        ),
        ("transient", "address check: not done yet", True),
    ],
)
def test_only_a_call_that_the_run_did_not_go_past_shows_its_next_try(
    waiting: UUID, outcome: str, title: str, *, is_tried_again: bool
) -> None:
    until = timezone.now() + timedelta(hours=1)
    SagaRun.objects.filter(subject_id=waiting).update(not_before=until)

    _, ended = entries_of_the_call(waiting, outcome)

    assert ended.title == title
    assert ended.detail == (f"· next try at {until:%H:%M:%S}" if is_tried_again else "")
