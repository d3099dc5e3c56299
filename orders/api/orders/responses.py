"""The answer to whoever asked for something to happen: accepted, until it got there."""

import json
from collections.abc import Collection, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.http import response_schemas as representations
from orders.api.http.auth_context import customer_told, holder_for, path_of
from orders.api.http.concurrency_limits import Holder, Slot, Slots
from orders.api.http.idempotency import (
    Answer,
    Executed,
    IdempotentRequest,
    Replayed,
    save_response,
    saved_response,
)
from orders.api.http.order_watcher import seconds_to_wait, watcher
from orders.models import Order, OrderLine

AS_PLACED: Final = Answer(HTTPStatus.ACCEPTED)
"""What whoever places an order and waits for nothing is told: known beforehand, and at any time."""

waiters: Final = Slots("WAITERS_PER_PROCESS", "WAITERS_PER_CUSTOMER")

# Stands in saved_response answers for where the caller finds the order: at a guest's link that is a secret.
_PATH: Final = "\ue000"


def answer(
    request: Request,
    purpose: IdempotentRequest,
    outcome: Executed[Any] | Replayed,
    order: Order,
    lines: Iterable[OrderLine],
    *,
    settled: Collection[str],
    settled_as: HTTPStatus = HTTPStatus.CREATED,
    at_once: Answer | None = None,
) -> Response:
    """Wait as long as the caller prefers, and show the order; to a repetition, what was shown first.

    ``at_once`` is told to whoever does not wait, where that is known beforehand. It is not saved_response: a
    repetition that does not wait decides nothing for the first, who still does.
    """
    path = path_of(request, order.pk)
    shown = partial(representations.Order.of, customer=customer_told(request, order), lines=lines)
    headers = {"Location": path}
    told = outcome.answer or (None if seconds_to_wait(request) else at_once)
    if told is None:
        order, seconds = _awaited(order, settled, seconds_to_wait(request), holder_for(order))
        if seconds:
            headers["Preference-Applied"] = f"wait={seconds}"
        # Who places an order and does not wait is told that it was accepted, however far it is.
        asks_for_end = bool(seconds) or settled_as == HTTPStatus.OK
        status = settled_as if asks_for_end and order.status in settled else HTTPStatus.ACCEPTED
        body = json.dumps(shown(order, _PATH).as_json(), ensure_ascii=False)
        told = _decided(purpose, outcome, Answer(status, body), at_once)
    if isinstance(outcome, Replayed):
        headers["Idempotency-Replayed"] = "true"
    if told.status == HTTPStatus.ACCEPTED:
        headers["Retry-After"] = "1"
    if told.body:
        data = json.loads(told.body.replace(_PATH, path))
    else:
        data = shown(order.as_placed(), path).as_json()
    return Response(data, status=told.status, headers=headers)


def _decided(
    purpose: IdempotentRequest,
    outcome: Executed[Any] | Replayed,
    found: Answer,
    at_once: Answer | None,
) -> Answer:
    """Keep what was found in the end, unless an equal request was answered before; return what counts.

    A repetition that found the order still unsettled keeps nothing, as if it had not waited: the
    first may have more patience.
    """
    if at_once and isinstance(outcome, Replayed) and found.status == HTTPStatus.ACCEPTED:
        return saved_response(purpose) or at_once
    return save_response(purpose, found)


def _awaited(
    order: Order, settled: Collection[str], seconds: int, holder: Holder
) -> tuple[Order, int]:
    """Wait for an order to settle; return it as it is then, and how long it was to be at most.

    That is 0 where as many wait as may, in all or for this holder: there are to be threads left
    for those who come to order, and places for others.
    """
    if not seconds or order.status in settled:
        return order, seconds
    if waiters.take(holder) is not Slot.TAKEN:
        return order, 0
    try:
        watcher.wait(order.pk, settled, seconds)
    finally:
        waiters.give_back(holder)
    return Order.objects.with_progress().get(pk=order.pk), seconds
