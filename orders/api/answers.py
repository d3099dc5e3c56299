"""The answer to whoever asked for something to happen: accepted, until it got there."""

import json
from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from orders.api import representations
from orders.api.callers import path_of
from orders.api.idempotency import Acted, Answer, Purpose, Replayed, keep
from orders.api.waiting import seconds_to_wait, watcher
from orders.models import Order, OrderLine

AS_PLACED: Final = Answer(HTTPStatus.ACCEPTED)
"""What whoever places an order and waits for nothing is told: known beforehand, and at any time."""

# Stands in kept answers for where the caller finds the order: at a guest's link that is a secret.
_PATH: Final = "\ue000"


def answer(
    request: Request,
    purpose: Purpose,
    outcome: Acted[Any] | Replayed,
    order: Order,
    lines: Iterable[OrderLine],
    *,
    settled: Collection[str],
    settled_as: HTTPStatus = HTTPStatus.CREATED,
) -> Response:
    """Wait as long as the caller prefers, and show the order; to a repetition, what was shown first."""
    path = path_of(request, order.pk)
    headers = {"Location": path}
    told = outcome.answer
    if told is None:
        if seconds := seconds_to_wait(request):
            headers["Preference-Applied"] = f"wait={seconds}"
        told = keep(purpose, _wait(order, lines, settled, settled_as, seconds))
    if isinstance(outcome, Replayed):
        headers["Idempotency-Replayed"] = "true"
    if told.status == HTTPStatus.ACCEPTED:
        headers["Retry-After"] = "1"
    if told.body:
        body = json.loads(told.body.replace(_PATH, path))
    else:
        body = representations.Order.of(order.as_placed(), path, lines=lines).as_json()
    return Response(body, status=told.status, headers=headers)


def _wait(
    order: Order,
    lines: Iterable[OrderLine],
    settled: Collection[str],
    settled_as: HTTPStatus,
    seconds: int,
) -> Answer:
    """Wait for an order to settle, for so many seconds at most, and say how it stands then."""
    if seconds and order.status not in settled:
        watcher.wait(order.pk, settled, seconds)
        order = Order.objects.with_progress().get(pk=order.pk)
    # Who places an order and does not wait is told that it was accepted, however far it is.
    asks_for_end = bool(seconds) or settled_as == HTTPStatus.OK
    status = settled_as if asks_for_end and order.status in settled else HTTPStatus.ACCEPTED
    shown = representations.Order.of(order, _PATH, lines=lines).as_json()
    return Answer(status, json.dumps(shown, ensure_ascii=False))
