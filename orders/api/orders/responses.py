"""Responses to requests that change an order: waiting for the result, and repeating the first one."""

import json
from collections.abc import Collection, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.http.auth_context import order_path
from orders.api.http.concurrency_limits import Acquired, limit_key, waiters
from orders.api.http.idempotency import (
    Executed,
    IdempotentRequest,
    Replayed,
    SavedResponse,
    save_response,
    saved_response,
)
from orders.api.http.order_watcher import order_watcher
from orders.api.http.prefer_header import seconds_to_wait
from orders.api.orders import response_schemas
from orders.api.orders.expansions import action_of, visible_customer
from orders.api.orders.response_schemas import NextAction
from orders.models import Order, OrderLine

AS_PLACED: Final = SavedResponse(HTTPStatus.ACCEPTED)
"""The response to an order without ``Prefer: wait``: it shows the order as placed."""

# Stands for the order's path in saved bodies: at a guest link the path contains the secret token.
_PATH: Final = "\ue000"


def order_response(
    request: Request,
    idempotent_request: IdempotentRequest,
    outcome: Executed[Any] | Replayed,
    order: Order,
    lines: Iterable[OrderLine],
    *,
    settled: Collection[str],
    settled_status: HTTPStatus = HTTPStatus.CREATED,
    immediate: SavedResponse | None = None,
) -> Response:
    """Wait for ``settled`` as long as the client prefers, then return the order.

    A repetition gets the response of the first request. ``immediate`` is the response to a client
    that does not wait, where it is known beforehand. It is not saved for a repetition that does not
    wait: the first request may still be waiting, and decides the response.
    """
    path = order_path(request, order.pk)
    customer = visible_customer(request, order)
    represent = partial(response_schemas.Order.of, customer=customer, lines=lines)
    headers = {"Location": path}
    response = outcome.response or (None if seconds_to_wait(request) else immediate)
    if response is None:
        order, seconds = _wait_until_settled(order, settled, seconds_to_wait(request))
        if seconds:
            headers["Preference-Applied"] = f"wait={seconds}"
        # A new order without Prefer gets 202 even if it has settled meanwhile.
        reports_result = bool(seconds) or settled_status == HTTPStatus.OK
        is_settled = reports_result and order.status in settled
        status = settled_status if is_settled else HTTPStatus.ACCEPTED
        body = json.dumps(represent(order, _PATH).as_json(), ensure_ascii=False)
        response = _decide(idempotent_request, outcome, SavedResponse(status, body), immediate)
    if isinstance(outcome, Replayed):
        headers["Idempotency-Replayed"] = "true"
    if response.status == HTTPStatus.ACCEPTED:
        headers["Retry-After"] = "1"
    saved = response.body.replace(_PATH, path) if response.body else None
    data = json.loads(saved) if saved else represent(order.as_placed(), path).as_json()
    _add_next_action(data, order)
    return Response(data, status=response.status, headers=headers)


def _add_next_action(data: dict[str, Any], order: Order) -> None:
    """Add what the customer has to do now. It is never saved, because it contains a secret."""
    if data["links"]["pay"] is not None:
        action = NextAction.of(action_of(order), order.wait)
        data["next_action"] = action.as_json() if action else None


def _decide(
    idempotent_request: IdempotentRequest,
    outcome: Executed[Any] | Replayed,
    found: SavedResponse,
    immediate: SavedResponse | None,
) -> SavedResponse:
    """Save the response unless an identical request has saved one; return the one that counts.

    A repetition whose wait ended before the order settled saves nothing: the first request may
    still be waiting.
    """
    if immediate and isinstance(outcome, Replayed) and found.status == HTTPStatus.ACCEPTED:
        return saved_response(idempotent_request) or immediate
    return save_response(idempotent_request, found)


def _wait_until_settled(order: Order, settled: Collection[str], seconds: int) -> tuple[Order, int]:
    """Wait at most ``seconds``; return the order as it is then, and the seconds granted.

    Grants 0 when the global or per-customer waiter limit is reached, which leaves threads free for
    other requests.
    """
    if not seconds or order.status in settled:
        return order, seconds
    key = limit_key(order)
    if waiters.acquire(key) is not Acquired.YES:
        return order, 0
    try:
        order_watcher.wait_for_status(order.pk, settled, seconds)
    finally:
        waiters.release(key)
    return Order.objects.with_progress().get(pk=order.pk), seconds
