"""``manage.py approvals``: list, show, decide under the desk's rules, and create links."""

import os
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from approvals.links import read_link
from approvals.models import Approval
from desk.models import OperatorAction
from sagas.identifiers import new_id
from tests.support.approval_helpers import QUESTION, answer_of, decide, open_approval
from tests.support.clock import move_to
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart


@pytest.fixture(autouse=True)
def alice_at_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getlogin", lambda: "alice")


@pytest.fixture
def approval(storefront: Storefront, messages: MessageQueue) -> Approval:
    order_id = storefront.order(cart(("MUG", 1))).order_id
    messages.drop_all()
    return open_approval(order_id)


def run(*arguments: object) -> list[str]:
    """Run ``manage.py approvals`` and return the printed lines."""
    printed = StringIO()
    call_command("approvals", *map(str, arguments), stdout=printed)
    return printed.getvalue().splitlines()


def refused(*arguments: object) -> str:
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    return str(raised.value)


def test_it_lists_open_approvals(approval: Approval) -> None:
    decided = open_approval()
    decide(decided)
    before = all_rows()

    until = f"{approval.deadline:%Y-%m-%d %H:%M:%S} UTC"
    due = f"until {until}  then reject"
    assert run("list") == [
        f"{approval.pk}  order {approval.subject_id}  {due}  order review: {QUESTION}"
    ]
    Approval.objects.filter(pk=approval.pk).update(question="Two\n lines?")
    assert run("list")[0].endswith("  order review: Two lines?")
    Approval.objects.filter(pk=approval.pk).update(question=QUESTION)
    assert [line.split()[0] for line in run("list", "--status", "approved")] == [str(decided.pk)]
    assert run("list", "--status", "expired") == ["No approval is expired."]
    assert all_rows() == before


def test_it_shows_an_approval_and_its_decision(approval: Approval) -> None:
    shown = [
        f"approval {approval.pk}: order review, open",
        f"order    {approval.subject_id}",
        "         10.00 EUR, for alice",
        "         1 x Mug (MUG)",
        f"question {QUESTION}",
        f"deadline {approval.deadline:%Y-%m-%d %H:%M:%S} UTC; without a decision the order is cancelled",
    ]
    assert run("show", approval.pk) == shown

    decide(approval, comment="Fine.")

    at = Approval.objects.get().decided_at
    assert run("show", approval.pk) == [
        f"approval {approval.pk}: order review, approved",
        *shown[1:],
        f"decided  It was approved by grace at {at:%Y-%m-%d %H:%M:%S} UTC. A decision is final.",
        "comment  Fine.",
    ]


def test_it_says_that_the_deadline_of_an_open_approval_has_passed(approval: Approval) -> None:
    deadline = f"{approval.deadline:%Y-%m-%d %H:%M:%S} UTC"
    then = "; without a decision the order is cancelled"
    assert f"deadline {deadline}{then}" in run("show", approval.pk)

    move_to(approval.deadline)
    assert f"deadline {deadline}, which has passed{then}" in run("show", approval.pk)
    assert f"  until {deadline}, which has passed  then reject  " in run("list")[0]

    decide(approval)
    assert f"deadline {deadline}{then}" in run("show", approval.pk)
    assert f"  until {deadline}  then reject  " in run("list", "--status", "approved")[0]


@pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_is_audited_like_one_at_the_desk(
    approval: Approval, decision: str, status: str
) -> None:
    lines = run(decision, approval.pk, "--comment", "Called them.")

    assert lines == [
        f"The order review is {status}.",
        f"order {approval.subject_id}, by shell:alice",
    ]
    assert answer_of(approval) == (status, "shell:alice", "desk", "Called them.")
    row = OperatorAction.objects.get()
    assert (row.operator, row.actor, row.kind, row.outcome, row.reason) == (
        None,
        "shell:alice",
        decision,
        "done",
        "Called them.",
    )


def test_a_decided_approval_is_refused(approval: Approval) -> None:
    decide(approval)

    message = refused("reject", approval.pk, "--comment", "No.")

    assert message.startswith("Reject was refused: It was approved by grace at ")
    assert answer_of(approval)[0] == "approved"
    assert OperatorAction.objects.get().outcome == "refused"


def test_a_decision_needs_a_comment(approval: Approval) -> None:
    for arguments in ([], ["--comment", " "], ["--comment", "x" * 1001]):
        with pytest.raises(CommandError):
            run("approve", approval.pk, *arguments)
    assert answer_of(approval)[0] == "open"


def test_unknown_ids_are_named(transactional_db: None) -> None:
    unknown, alone = new_id(), open_approval()

    for command in ("show", "link", "revoke-links"):
        assert refused(command, unknown) == f"There is no approval {unknown}."
    assert refused("approve", unknown, "--comment", "x") == f"There is no approval {unknown}."
    message = refused("approve", alone.pk, "--comment", "x")
    assert message == f"There is no order {alone.subject_id}."


def test_a_link_decides_in_the_name_of_its_holder(approval: Approval, settings: Settings) -> None:
    settings.STOREFRONT_URL = "https://shop.example/"
    before = all_rows()

    [address] = run("link", approval.pk, "--hours", "48", "--for", "Anna")

    assert all_rows() == before
    assert address.startswith("https://shop.example/approvals/")
    path = address.removeprefix("https://shop.example")
    found = read_link(path.removeprefix("/approvals/"))
    assert found is not None
    assert (found[0].holder, found[0].issuer) == ("Anna", "shell:alice")
    assert Client().post(path, {"decision": "approve"}).status_code == 303
    assert answer_of(approval)[:3] == ("approved", "Anna, link by shell:alice", "link")


def test_a_link_to_a_decided_approval_is_refused(approval: Approval) -> None:
    decide(approval)

    assert refused("link", approval.pk).startswith("It was approved by grace at ")


@pytest.mark.parametrize("hours", ["0", "-1", "2161", "soon"])
def test_a_link_has_a_sensible_length(approval: Approval, hours: str) -> None:
    with pytest.raises(CommandError):
        run("link", approval.pk, "--hours", hours)


def test_revoking_ends_all_links(approval: Approval) -> None:
    [path] = run("link", approval.pk)
    other: UUID = open_approval().pk
    [other_path] = run("link", other)

    assert run("revoke-links", approval.pk) == [
        f"All links to {approval.pk} that exist are revoked."
    ]

    assert Client().get(path).status_code == 404
    assert Client().get(other_path).status_code == 200
