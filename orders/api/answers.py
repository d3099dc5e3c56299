"""The answer to whoever asked for something to happen: accepted, until it got there."""

from collections.abc import Collection, Iterable
from http import HTTPStatus

from rest_framework.request import Request
from rest_framework.response import Response

from orders.api import representations
from orders.api.callers import path_of
from orders.api.waiting import seconds_to_wait, watcher
from orders.models import Order, OrderLine


def accepted_or_settled(
    request: Request,
    order: Order,
    lines: Iterable[OrderLine],
    settled: Collection[str],
    *,
    settled_as: HTTPStatus = HTTPStatus.CREATED,
    is_replay: bool = False,
) -> Response:
    """Wait as long as the caller prefers, and show the order."""
    if (seconds := seconds_to_wait(request)) and order.status not in settled:
        watcher.wait(order.pk, settled, seconds)
        order = Order.objects.with_progress().get(pk=order.pk)
    # A repetition of "place this" is answered as the first was, however far the order is now.
    asks_for_end = bool(seconds) or settled_as == HTTPStatus.OK
    has_settled = asks_for_end and order.status in settled
    path = path_of(request, order.pk)
    headers = {"Location": path}
    if seconds:
        headers["Preference-Applied"] = f"wait={seconds}"
    if is_replay:
        headers["Idempotency-Replayed"] = "true"
    if not has_settled:
        headers["Retry-After"] = "1"
    status = settled_as if has_settled else HTTPStatus.ACCEPTED
    return Response(
        representations.Order.of(order, path, lines=lines).as_json(), status=status, headers=headers
    )
