"""Approvals through the API: who may read and decide, repeated decisions, and lists."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from approvals.models import Approval
from approvals.services import expire
from approvals.states import Decision
from orders.api.http import idempotency
from orders.models import IdempotencyRecord
from sagas.identifiers import new_id
from tests.support.approval_helpers import (
    QUESTION,
    REVIEW,
    answer_of,
    approval_events,
    decide,
    open_approval,
)
from tests.support.database import all_rows
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import ApiResponse, Storefront, cart
from tests.support.threads import run_at_once

APPROVALS = "/api/v1/approvals"


@pytest.fixture
def order_id(storefront: Storefront, messages: MessageQueue) -> UUID:
    found = storefront.order(cart(("MUG", 1))).order_id
    messages.drop_all()
    return found


@pytest.fixture
def approval(order_id: UUID) -> Approval:
    return open_approval(order_id)


def post(
    client: Storefront,
    approval: Approval,
    decision: str = "approve",
    body: object = b"",
    key: str = "",
) -> ApiResponse:
    headers = {"Idempotency-Key": key or uuid4().hex}
    return client.send("POST", f"{APPROVALS}/{approval.pk}/{decision}", body, headers)


def shown(approval: Approval, **changes: Any) -> dict[str, Any]:
    """Return what the shop's server reads about an open approval, with changes."""
    content = {
        "id": str(approval.pk),
        "order_id": str(approval.subject_id),
        "name": REVIEW,
        "status": "open",
        "deadline": as_json(approval.deadline),
        "default": "reject",
        "created_at": as_json(approval.created_at),
        "decided_at": None,
        "decided_via": None,
        "question": QUESTION,
        "decided_by": "",
        "comment": "",
    }
    return {**content, **changes}


def as_json(moment: Any) -> str:
    return str(moment.isoformat().replace("+00:00", "Z"))


def test_the_shop_reads_everything(shop_server: Storefront, approval: Approval) -> None:
    response = shop_server.get(f"{APPROVALS}/{approval.pk}")

    assert (response.status, response.body) == (200, shown(approval))


def test_the_customer_reads_no_question_comment_and_name(
    storefront: Storefront, approval: Approval
) -> None:
    decide(approval, comment="A secret about Alice.")
    decided_at = Approval.objects.get().decided_at

    response = storefront.get(f"{APPROVALS}/{approval.pk}")

    expected = shown(
        approval, status="approved", decided_at=as_json(decided_at), decided_via="desk"
    )
    for hidden in ("question", "decided_by", "comment"):
        del expected[hidden]
    assert (response.status, response.body) == (200, expected)


def test_a_stranger_gets_the_response_of_an_unknown_approval(
    stranger: Storefront, approval: Approval
) -> None:
    existing = stranger.get(f"{APPROVALS}/{approval.pk}")
    unknown = stranger.get(f"{APPROVALS}/{new_id()}")

    assert existing.is_problem(404, "not-found")
    assert existing.comparable == unknown.comparable


def test_an_approval_of_an_unknown_order_is_not_found(shop_server: Storefront) -> None:
    approval = open_approval()

    assert shop_server.get(f"{APPROVALS}/{approval.pk}").is_problem(404, "not-found")
    assert post(shop_server, approval).is_problem(404, "not-found")


def test_a_customer_decides_nothing(
    storefront: Storefront, stranger: Storefront, approval: Approval
) -> None:
    before = all_rows()

    for client in (storefront, stranger):
        for decision in Decision:
            assert post(client, approval, decision).is_problem(403, "scope-missing")
        assert client.get(APPROVALS).is_problem(403, "scope-missing")

    assert all_rows() == before


@pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_the_shop_decides(
    shop_server: Storefront, approval: Approval, decision: str, status: str
) -> None:
    response = post(shop_server, approval, decision, {"comment": "As agreed."})

    assert answer_of(approval) == (status, "web-shop", "api", "As agreed.")
    assert response.status == 200
    assert response.body == shown(
        approval,
        status=status,
        decided_at=as_json(Approval.objects.get().decided_at),
        decided_via="api",
        decided_by="web-shop",
        comment="As agreed.",
        decided_now=True,
    )
    assert approval_events(approval.subject_id) == ["approval.opened", "approval.decided"]


def test_a_repetition_with_the_same_key_gets_the_first_response(
    shop_server: Storefront, approval: Approval
) -> None:
    first = post(shop_server, approval, key="once")
    before = all_rows()

    second = post(shop_server, approval, key="once")

    assert (second.status, second.body) == (200, first.body)
    assert (first.is_replayed, second.is_replayed) == (False, True)
    assert second.body["decided_now"] is True
    assert all_rows() == before


def test_the_same_decision_under_another_key_was_decided_before(
    shop_server: Storefront, approval: Approval
) -> None:
    decide(approval, comment="Fine.")

    response = post(shop_server, approval, "approve", {"comment": "Mine."})

    assert (response.status, response.is_replayed) == (200, False)
    assert response.body["decided_now"] is False
    assert (response.body["decided_by"], response.body["comment"]) == ("grace", "Fine.")
    assert answer_of(approval) == ("approved", "grace", "desk", "Fine.")


@pytest.mark.parametrize("first", ["approved", "expired"])
def test_another_decision_is_refused_with_the_first_one(
    shop_server: Storefront, approval: Approval, first: str
) -> None:
    if first == "approved":
        decide(approval, comment="Fine.")
    else:
        expire([approval.subject_id], REVIEW)
    before = all_rows()

    response = post(shop_server, approval, "reject", key="late")

    assert response.is_problem(409, "approval-already-decided")
    assert response.body["approval"] == shop_server.get(f"{APPROVALS}/{approval.pk}").body
    assert response.body["approval"]["status"] == first
    assert post(shop_server, approval, "reject", key="late").comparable == response.comparable
    assert all_rows() == before


def test_an_expired_approval_is_not_approved_either(
    shop_server: Storefront, approval: Approval
) -> None:
    expire([approval.subject_id], REVIEW)

    assert post(shop_server, approval).is_problem(409, "approval-already-decided")


def test_a_decision_needs_a_key_and_a_key_is_for_one_request(
    shop_server: Storefront, approval: Approval
) -> None:
    path = f"{APPROVALS}/{approval.pk}/approve"
    assert shop_server.send("POST", path).is_problem(400, "idempotency-key-missing")
    assert answer_of(approval)[0] == "open"

    post(shop_server, approval, key="once")

    assert post(shop_server, approval, "reject", key="once").is_problem(
        422, "idempotency-key-reused"
    )
    other_body = post(shop_server, approval, body={"comment": "x"}, key="once")
    assert other_body.is_problem(422, "idempotency-key-reused")
    assert IdempotencyRecord.objects.filter(key="once").count() == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"comment": "x" * 1001}, "/comment"),
        ({"comment": "a\0b"}, "/comment"),
        ({"comment": 7}, "/comment"),
        ({"reason": "x"}, "/reason"),
    ],
)
def test_a_wrong_body_decides_nothing(
    shop_server: Storefront, approval: Approval, body: object, pointer: str
) -> None:
    response = post(shop_server, approval, body=body)

    assert response.is_problem(422, "invalid-request")
    assert response.pointers == [pointer]
    assert answer_of(approval)[0] == "open"


def test_a_comment_may_have_lines_and_the_greatest_length(
    shop_server: Storefront, approval: Approval
) -> None:
    comment = "One.\nTwo. ü" + "x" * 989

    assert post(shop_server, approval, body={"comment": comment}).status == 200

    assert answer_of(approval)[3] == comment


def test_concurrent_requests_have_one_outcome(
    shop_server: Storefront, approval: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "IN_FLIGHT_TIMEOUT", "60s")  # on a busy machine
    results = run_at_once(
        *[lambda: post(shop_server, approval, "approve")] * 4,
        *[lambda: post(shop_server, approval, "reject")] * 4,
    )

    answers = [result for result in results if isinstance(result, ApiResponse)]
    assert len(answers) == 8
    assert sorted(answer.status for answer in answers) == [200] * 4 + [409] * 4
    decided = [answer.body for answer in answers if answer.status == 200]
    assert [body["decided_now"] for body in decided].count(True) == 1
    assert {body["status"] for body in decided} == {answer_of(approval)[0]}


def test_the_list_is_paged_newest_first(
    shop_server: Storefront, approval: Approval, order_id: UUID
) -> None:
    others = [open_approval(order_id, key=str(number)) for number in range(4)]
    newest_first = [str(row.pk) for row in reversed([approval, *others])]

    found, address = [], f"{APPROVALS}?page_size=2"
    while address:
        page = shop_server.get(address)
        assert page.status == 200
        found.append([row["id"] for row in page.body["results"]])
        address = page.body["next"]

    assert found == [newest_first[:2], newest_first[2:4], newest_first[4:]]


def test_the_list_is_filtered_by_status_and_order(
    shop_server: Storefront, approval: Approval
) -> None:
    other = open_approval()
    decide(other, Decision.REJECT)

    def listed(query: str) -> list[str]:
        return [row["id"] for row in shop_server.get(f"{APPROVALS}?{query}").body["results"]]

    assert listed("status=open") == [str(approval.pk)]
    assert listed("status=rejected,approved") == [str(other.pk)]
    assert listed("status=expired") == []
    assert listed(f"order_id={approval.subject_id}") == [str(approval.pk)]
    assert shop_server.get(f"{APPROVALS}?status=open").body["results"] == [shown(approval)]
    assert shop_server.get(f"{APPROVALS}?status=shut").is_problem(400, "invalid-query")


def test_a_cursor_belongs_to_its_filters(shop_server: Storefront, approval: Approval) -> None:
    open_approval()
    cursor = (
        shop_server.get(f"{APPROVALS}?page_size=1&status=open").body["next"].split("cursor=")[1]
    )

    assert shop_server.get(f"{APPROVALS}?status=open&cursor={cursor}").status == 200
    refused = shop_server.get(f"{APPROVALS}?status=open,expired&cursor={cursor}")
    assert refused.is_problem(400, "invalid-query")


def test_an_unchanged_approval_is_304(shop_server: Storefront, approval: Approval) -> None:
    path = f"{APPROVALS}/{approval.pk}"
    tag = {"If-None-Match": shop_server.get(path).headers["ETag"]}

    assert shop_server.send("GET", path, headers=tag).status == 304
    decide(approval)
    assert shop_server.send("GET", path, headers=tag).status == 200
