"""One order's progress as server-sent events, for a page that shows it live.

A stream holds a thread of a web process, so it is bounded twice: in number, so that there are always
threads left for orders; and in time, so that a process that is to stop need not wait for one longer
than for any request. A browser's ``EventSource`` comes back by itself, and says what it saw last.
"""

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, close_old_connections
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.permissions import Scopes
from orders.api.http.auth_context import holder_for, own_order
from orders.api.http.concurrency_limits import Holder, Slot, Slots
from orders.api.http.order_watcher import LONGEST_SECONDS, watcher
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem
from orders.api.http.query_params import NoQuery, parse_query
from orders.api.http.response_schemas import CANCEL_REQUESTED, ProgressEvent
from orders.models import Order, OrderCursor, moves_of
from orders.states import OrderStatus

HEARTBEAT_SECONDS: Final = 3
"""Something is written at least as often: by that it is noticed that nobody reads any more."""
COME_BACK_MS: Final = 1000
# A version, and whether it was told since that the order is to be cancelled.
_EVENT_ID: Final = re.compile(r"([0-9]{1,9})(c?)")


class EventStreamRenderer(BaseRenderer):
    """Of what is streamed; it is a problem that is rendered whole."""

    media_type = "text/event-stream"
    format = "event-stream"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,  # noqa: ARG002 - REST framework's signature
        renderer_context: Any = None,  # noqa: ARG002
    ) -> bytes:
        return b"" if data is None else json.dumps(data).encode()


class Progress(APIView):
    scopes: Scopes = {"GET": Scope.READ}
    renderer_classes = (EventStreamRenderer,)

    def get(self, request: Request, order_id: UUID) -> HttpResponseBase:
        """Stream what becomes of an order, until it got there or ten seconds long."""
        parse_query(NoQuery, request)
        order = own_order(request, order_id)
        seen = _last_seen(request, order)
        if seen == order.reached and order.has_ended:
            return Response(status=HTTPStatus.NO_CONTENT)  # by this a browser stops coming back
        if request.method == "HEAD":
            return HttpResponse(headers=_HEADERS, content_type=EventStreamRenderer.media_type)
        holder = holder_for(order)
        _take_slot(holder)
        return StreamingHttpResponse(
            Stream(order, seen, holder),
            content_type=EventStreamRenderer.media_type,
            headers=_HEADERS,
        )


# A proxy is not to keep events back until there are many.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def _last_seen(request: Request, order: Order) -> OrderCursor | None:
    """Return what the client was told last; None for what was never told of this order."""
    found = _EVENT_ID.fullmatch(request.headers.get("Last-Event-ID", ""))
    if found is None:
        return None
    seen = OrderCursor(int(found[1]), is_cancel_requested=bool(found[2]))
    return seen if seen <= order.reached else None


streams = Slots("STREAMS_PER_PROCESS", "STREAMS_PER_CUSTOMER")

_NO_SLOT: Final = {
    Slot.NONE_LEFT: (
        ProblemType.TOO_MANY_STREAMS,
        "As many streams are open as may be. Read the order itself now and then.",
    ),
    Slot.SHARE_TAKEN: (
        ProblemType.TOO_MANY_OWN_STREAMS,
        "You have as many streams open as one may have. Close one, or read the order itself.",
    ),
}


def _take_slot(holder: Holder) -> None:
    """Raises a Problem where there is none left, or none left for this holder."""
    if problem := _NO_SLOT.get(streams.take(holder)):
        raise Problem(*problem, headers={"Retry-After": str(LONGEST_SECONDS)})


class Stream:
    """The text of a stream; whoever made it has taken a slot, which is given back at its end.

    The server closes it in the end, whether or not it ever began. Between events it waits for the
    watcher, with no transaction open and no statement of its own.
    """

    def __init__(self, order: Order, seen: OrderCursor | None, holder: Holder) -> None:
        self._order = order
        self._seen = seen
        self._holder = holder
        self._has_slot = True

    def close(self) -> None:
        if self._has_slot:
            self._has_slot = False
            streams.give_back(self._holder)

    def __iter__(self) -> Iterator[str]:
        yield f"retry: {COME_BACK_MS}\n\n"
        ends_at = time.monotonic() + LONGEST_SECONDS
        try:
            yield from self._missed()
            while not self._order.has_ended and (left := ends_at - time.monotonic()) > 0:
                patience = min(left, HEARTBEAT_SECONDS)
                if watcher.wait_for_news(self._order.pk, self._order.reached, patience):
                    yield from self._news()
                else:
                    yield ": nothing new\n\n"
        except (OperationalError, InterfaceError):
            return  # the client comes back, and is told then
        if self._order.has_ended:
            yield "event: end\ndata: {}\n\n"

    def _missed(self) -> Iterator[str]:
        """Tell how the order stands, or what has happened since the client was here before."""
        order = self._order
        if self._seen is None:
            since = order.moved_at or order.created_at
            yield _event(order, order.status, order.status, order.reached, since)
        elif self._seen < order.reached:
            yield from _told_since(self._seen, order)

    def _news(self) -> Iterator[str]:
        before = self._order.reached
        close_old_connections()
        self._order = Order.objects.with_progress().get(pk=self._order.pk)
        yield from _told_since(before, self._order)


def _told_since(seen: OrderCursor, order: Order) -> Iterator[str]:
    """Tell each move that a client has not seen, and the wish to cancel before what follows."""
    asked_at, is_asked = order.cancel_requested_at, False
    for move in moves_of([order.pk]).get(order.pk, ()):
        if move.sequence > order.version:  # is told when all of it was read
            break
        if asked_at is not None and move.target == OrderStatus.CANCELLING:
            is_asked, before = True, OrderCursor(move.sequence - 1, is_cancel_requested=True)
            if before > seen:
                yield _event(order, CANCEL_REQUESTED, move.source, before, asked_at)
        reached = OrderCursor(move.sequence, is_asked)
        if reached > seen:
            yield _event(order, move.target, move.target, reached, move.at)
    if asked_at is not None and not (is_asked or seen.is_cancel_requested):
        yield _event(order, CANCEL_REQUESTED, order.status, order.reached, asked_at)


def _event(order: Order, name: str, status: str, reached: OrderCursor, at: datetime) -> str:
    data = json.dumps(ProgressEvent.of(order, status, reached, at).as_json())
    event_id = f"{reached.version}{'c' * reached.is_cancel_requested}"
    return f"id: {event_id}\nevent: {name}\ndata: {data}\n\n"
