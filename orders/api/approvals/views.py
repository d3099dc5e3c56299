"""Listing, reading, awaiting and deciding approvals through the API."""

import json
from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.errors import ScopeMissing
from access.permissions import Scopes
from approvals import models, services
from approvals.states import ApprovalStatus, DecidedVia, Decision
from orders.api.approvals.documentation import APPROVE, LIST_APPROVALS, READ_APPROVAL, REJECT
from orders.api.approvals.schemas import (
    Approval,
    ApprovalListQuery,
    ApprovalPage,
    ApprovalQuery,
    DecidedApproval,
    DecisionBody,
)
from orders.api.http.auth_context import account_of, actor_name, grant_of, own_order
from orders.api.http.concurrency_limits import Acquired, limit_key, waiters
from orders.api.http.documentation.operation import documented
from orders.api.http.etags import conditional_response
from orders.api.http.idempotency import (
    Executed,
    IdempotentRequest,
    SavedResponse,
    run_idempotent,
    save_response,
)
from orders.api.http.pagination import CursorSigner, link_header, page_url
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem, not_found
from orders.api.http.query_params import parse_query
from orders.api.http.request_schemas import parse_body
from orders.api.http.row_watcher import RowWatch, RowWatcher
from orders.models import Order

approval_watcher: Final = RowWatcher[ApprovalStatus]("approval-watcher", services.statuses)


class ApprovalsView(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    @documented(LIST_APPROVALS)
    def get(self, request: Request) -> HttpResponseBase:
        """List the approvals of all orders, newest first. Only for the shop's server."""
        _require_shop(request)
        query = parse_query(ApprovalListQuery, request)
        cursors = _cursors(request, query)
        found = services.newest_approvals(
            statuses=query.status,
            subject_id=query.order_id,
            before=UUID(cursors.read(query.cursor)) if query.cursor is not None else None,
            limit=query.page_size + 1,
        )
        shown = found[: query.page_size]
        has_more = len(found) > len(shown)
        next_page = page_url(request, cursors.write(str(shown[-1].pk))) if has_more else None
        results = [Approval.of(approval, for_shop=True) for approval in shown]
        page = ApprovalPage(results=results, next=next_page)
        return conditional_response(request, page, link_header({"next": next_page}))


class ApprovalView(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    @documented(READ_APPROVAL)
    def get(self, request: Request, approval_id: UUID) -> HttpResponseBase:
        """Return one approval of the caller's orders, as soon as it is decided with ``wait``."""
        query = parse_query(ApprovalQuery, request)
        approval, order = _visible(request, approval_id)
        if query.wait and approval.is_open:
            _wait_for_decision(approval, order, query.wait)
            approval = services.peek(approval_id)
        content = Approval.of(approval, for_shop=grant_of(request).is_shop)
        return conditional_response(request, content)


class ApproveView(APIView):
    scopes: Scopes = {"POST": Scope.WRITE}

    @documented(APPROVE)
    def post(self, request: Request, approval_id: UUID) -> Response:
        """Approve. The first decision is final, and is returned to later requests."""
        return _decide(request, approval_id, Decision.APPROVE)


class RejectView(APIView):
    scopes: Scopes = {"POST": Scope.WRITE}

    @documented(REJECT)
    def post(self, request: Request, approval_id: UUID) -> Response:
        """Reject. The first decision is final, and is returned to later requests."""
        return _decide(request, approval_id, Decision.REJECT)


def _require_shop(request: Request) -> None:
    if not grant_of(request).is_shop:
        raise ScopeMissing(Scope.SHOP)


def _visible(request: Request, approval_id: UUID) -> tuple[models.Approval, Order]:
    """Return an approval and its order. Raises the same 404 for an unknown and another's one."""
    try:
        approval = services.peek(approval_id)
    except models.Approval.DoesNotExist:
        raise not_found() from None
    return approval, own_order(request, approval.subject_id)


def _cursors(request: Request, query: ApprovalListQuery) -> CursorSigner:
    """Return the signer of cursors that are valid for this caller and these filters."""
    filters = query.model_dump(mode="json", exclude={"cursor", "page_size"})
    filters["status"].sort()
    return CursorSigner(f"approvals:{json.dumps([account_of(request).pk, filters])}")


def _wait_for_decision(approval: models.Approval, order: Order, seconds: int) -> None:
    """Wait until the approval is decided, for at most ``seconds``; not at all beyond the limits."""
    key = limit_key(order)
    if waiters.acquire(key) is not Acquired.YES:
        return
    watch: RowWatch[ApprovalStatus] = RowWatch(
        approval.pk, lambda status: status != ApprovalStatus.OPEN, is_urgent=True
    )
    try:
        approval_watcher.wait(watch, seconds)
    finally:
        waiters.release(key)


def _decide(request: Request, approval_id: UUID, decision: Decision) -> Response:
    _require_shop(request)
    body = parse_body(DecisionBody, request)
    idempotent_request = IdempotentRequest.of(request, body)
    approval, order = _visible(request, approval_id)
    actor = actor_name(request)
    decide = partial(_decide_and_save, idempotent_request, approval, decision, actor, body)
    outcome = run_idempotent(idempotent_request, order.pk, decide)
    if isinstance(outcome, Executed):
        return Response(json.loads(outcome.result.body))
    saved = outcome.response
    assert saved is not None  # noqa: S101 - it was saved together with the key
    return Response(json.loads(saved.body), headers={"Idempotency-Replayed": "true"})


def _decide_and_save(
    idempotent_request: IdempotentRequest,
    approval: models.Approval,
    decision: Decision,
    actor: str,
    body: DecisionBody,
) -> SavedResponse:
    """Decide, and save the response in the same transaction. Raises a Problem for another decision."""
    decided = services.decide(
        approval.pk, decision, actor=actor, via=DecidedVia.API, comment=body.comment or ""
    )
    if not decided.approval.agrees_with(decision):
        first = Approval.of(decided.approval, for_shop=True)
        raise Problem(
            ProblemType.APPROVAL_ALREADY_DECIDED,
            f"The approval is {decided.approval.status} already. Nothing was changed.",
            extensions={"approval": first.as_json()},
        )
    content = DecidedApproval.of_decision(decided.approval, decided_now=decided.decided_now)
    text = json.dumps(content.as_json(), ensure_ascii=False)
    return save_response(idempotent_request, SavedResponse(HTTPStatus.OK, text))
