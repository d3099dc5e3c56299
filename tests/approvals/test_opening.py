"""Approvals are opened once, are read by their wait, and expire or are extended."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from approvals import services
from approvals.models import Approval
from approvals.services import OpenApprovals, count_open, expire, extend, open_approvals
from approvals.states import ApprovalStatus, Decision
from events.models import OutboxEvent
from sagas.identifiers import new_id
from tests.support.approval_helpers import (
    A_DAY,
    QUESTION,
    REVIEW,
    answer_of,
    approval_and_event_counts,
    approval_events,
    decide,
    new_approval,
    open_approval,
)
from tests.support.clock import database_time
from tests.support.database import all_rows
from tests.support.threads import run_at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_opening_records_the_question_and_an_event() -> None:
    new = new_approval(new_id())

    open_approvals([new])

    approval = Approval.objects.get()
    assert (approval.subject_id, approval.name, approval.question, approval.deadline) == (
        new.subject_id,
        REVIEW,
        QUESTION,
        new.deadline,
    )
    assert (approval.status, approval.decided_at, approval.decided_by) == ("open", None, "")
    event = OutboxEvent.objects.get()
    assert (event.name, event.key, event.correlation_id) == (
        "approval.opened",
        new.subject_id,
        new.correlation_id,
    )
    assert event.payload == {
        "approval_id": str(approval.pk),
        "name": REVIEW,
        "deadline": f"{new.deadline.replace(tzinfo=None).isoformat()}Z",
        "default": "reject",
    }


def test_opening_again_changes_nothing_and_opens_only_new_ones() -> None:
    known, other = new_id(), new_id()
    open_approval(known)
    before = all_rows()

    open_approvals([new_approval(known)])
    assert all_rows() == before

    open_approvals([new_approval(known), new_approval(other), new_approval(known, key="2")])
    assert Approval.objects.count() == 3
    assert approval_events(known) == ["approval.opened"] * 2
    assert approval_events(other) == ["approval.opened"]


def test_opening_none_writes_nothing() -> None:
    open_approvals([])

    assert approval_and_event_counts() == (0, 0)


def test_concurrent_openings_open_one() -> None:
    subject_id = new_id()

    results = run_at_once(*[lambda: open_approvals([new_approval(subject_id)])] * 8)

    assert results == [None] * 8
    assert Approval.objects.count() == 1
    assert approval_events(subject_id) == ["approval.opened"]


def test_a_decision_before_the_wait_is_kept() -> None:
    approval = open_approval()
    decide(approval, comment="Known customer.")

    open_approvals([new_approval(approval.subject_id)])

    assert answer_of(approval) == ("approved", "grace", "desk", "Known customer.")
    assert set(services.decisions([approval.subject_id], REVIEW)) == {approval.subject_id}


def test_decisions_are_those_of_the_name_and_key() -> None:
    approved, refused, undecided, late = (open_approval() for _ in range(4))
    decide(approved)
    decide(refused, Decision.REJECT)
    expire([late.subject_id], REVIEW)
    everyone = [row.subject_id for row in (approved, refused, undecided, late)]

    found = services.decisions(everyone, REVIEW)

    assert {subject: answer.is_approved for subject, answer in found.items()} == {
        approved.subject_id: True,
        refused.subject_id: False,
    }
    assert services.decisions(everyone, "another") == {}
    assert services.decisions(everyone, REVIEW, key="2") == {}
    assert services.decisions([undecided.subject_id], REVIEW) == {}


def test_expiring_ends_open_ones_only() -> None:
    undecided, decided, other = (open_approval() for _ in range(3))
    decide(decided)

    found = expire([undecided.subject_id, decided.subject_id], REVIEW, comment="Cancelled.")

    assert found == [undecided.subject_id]
    assert answer_of(undecided) == ("expired", "", "deadline", "Cancelled.")
    assert answer_of(decided) == ("approved", "grace", "desk", "")
    assert answer_of(other) == ("open", "", "", "")
    assert approval_events(undecided.subject_id) == ["approval.opened", "approval.decided"]
    payload = OutboxEvent.objects.filter(name="approval.decided").latest("pk").payload
    assert (payload["status"], payload["via"]) == ("expired", "deadline")
    assert expire([undecided.subject_id], REVIEW) == []
    assert expire([other.subject_id], REVIEW, key="2") == []


def test_expiring_none_sends_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert expire(set(), REVIEW) == []


def test_a_deadline_is_extended_until_the_decision() -> None:
    approval = open_approval()
    later = approval.deadline + A_DAY

    assert extend(approval.pk, later, "grace")

    assert Approval.objects.get().deadline == later
    event = OutboxEvent.objects.get(name="approval.extended")
    assert event.payload == {
        "approval_id": str(approval.pk),
        "name": REVIEW,
        "deadline": f"{later.replace(tzinfo=None).isoformat()}Z",
        "actor": "grace",
    }
    decide(approval)
    before = all_rows()
    assert not extend(approval.pk, later + A_DAY, "grace")
    assert all_rows() == before


def test_open_approvals_are_counted_and_those_past_their_deadline() -> None:
    now = database_time()
    assert count_open() == OpenApprovals(0, 0)
    open_approval(deadline=now - timedelta(minutes=1))
    open_approval(deadline=now + timedelta(hours=1))
    decide(open_approval(deadline=now - timedelta(minutes=1)))

    assert count_open() == OpenApprovals(open=2, past_deadline=1)


def test_an_unknown_approval_raises() -> None:
    for call in (
        lambda: services.peek(new_id()),
        lambda: services.extend(new_id(), database_time(), "grace"),
        lambda: services.revoke_links(new_id()),
        lambda: services.decide(new_id(), Decision.APPROVE, actor="grace", via="desk"),  # type: ignore[arg-type]
    ):
        with pytest.raises(Approval.DoesNotExist):
            call()


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "perhaps", "decided_at": Now(), "decided_via": "desk"},
        {"status": "approved"},
        {"status": "approved", "decided_at": Now()},
        {"status": "approved", "decided_at": Now(), "decided_via": "fax"},
        {"decided_at": Now()},
        {"decided_via": "desk"},
        {"default": "wait"},
    ],
)
def test_the_database_refuses_an_impossible_row(columns: dict[str, object]) -> None:
    approval = open_approval()

    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(**columns)


def test_statuses_are_read_in_one_statement(django_assert_num_queries: Any) -> None:
    approvals = [open_approval() for _ in range(3)]
    decide(approvals[1])
    ids: list[UUID] = [approval.pk for approval in approvals]

    with django_assert_num_queries(1):
        found = services.statuses([*ids, new_id()])

    assert found == {
        ids[0]: ApprovalStatus.OPEN,
        ids[1]: ApprovalStatus.APPROVED,
        ids[2]: ApprovalStatus.OPEN,
    }
