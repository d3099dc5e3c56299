"""An order's progress as server-sent events, for a page that shows it live.

A stream occupies a thread of a web process. Their number is limited, so that threads stay free for
other requests. Their time is limited, so that a process can stop. A browser's ``EventSource`` reconnects by itself and sends the id of the last event.
"""

import re
import time
import zlib
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, close_old_connections
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.permissions import Scopes
from orders.api.http import sse
from orders.api.http.auth_context import own_order
from orders.api.http.concurrency_limits import Acquired, ConcurrencyLimit, LimitKey, limit_key
from orders.api.http.documentation.operation import documented
from orders.api.http.order_watcher import order_watcher
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem
from orders.api.http.query_params import QueryParams, parse_query
from orders.api.orders.documentation import FOLLOW_ORDER
from orders.api.orders.response_schemas import CANCEL_REQUESTED, WAITING, StreamEvent
from orders.models import Order, OrderProgress, transitions_of
from orders.states import OrderStatus

MAX_STREAM_SECONDS: Final = 10
HEARTBEAT_SECONDS: Final = 3
"""Something is written at least this often, which reveals closed connections."""
RECONNECT_MS: Final = 1000
# A version, "c" once the cancellation request was sent, and after "w" what the order waits for.
_EVENT_ID: Final = re.compile(r"([0-9]{1,9})(c?)(?:w([0-9a-f]{8}))?")
_NO_WAIT: Final = "0" * 8

streams: Final = ConcurrencyLimit("STREAMS_PER_PROCESS", "STREAMS_PER_CUSTOMER")


class EventsView(APIView):
    scopes: Scopes = {"GET": Scope.READ}
    renderer_classes = (sse.EventStreamRenderer,)

    @documented(FOLLOW_ORDER)
    def get(self, request: Request, order_id: UUID) -> HttpResponseBase:
        """Stream an order's events until it has ended, for at most ``MAX_STREAM_SECONDS``."""
        parse_query(QueryParams, request)
        order = own_order(request, order_id)
        seen, seen_wait = _last_seen(request, order)
        if seen == order.progress and order.has_ended:
            return Response(status=HTTPStatus.NO_CONTENT)  # tells a browser not to reconnect
        if request.method == "HEAD":
            return HttpResponse(headers=sse.HEADERS, content_type=sse.MEDIA_TYPE)
        key = limit_key(order)
        _acquire_stream(key)
        return StreamingHttpResponse(
            Stream(order, seen, seen_wait, key), content_type=sse.MEDIA_TYPE, headers=sse.HEADERS
        )


def _last_seen(request: Request, order: Order) -> tuple[OrderProgress | None, str]:
    """Return the progress and the wait in Last-Event-ID.

    The progress is None when the header is missing or not one of this order.
    """
    event_id = _EVENT_ID.fullmatch(request.headers.get("Last-Event-ID", ""))
    if event_id is None:
        return None, _NO_WAIT
    seen = OrderProgress(int(event_id[1]), is_cancel_requested=bool(event_id[2]))
    return (seen, event_id[3] or _NO_WAIT) if seen <= order.progress else (None, _NO_WAIT)


_LIMIT_PROBLEMS: Final = {
    Acquired.PROCESS_LIMIT_REACHED: (
        ProblemType.TOO_MANY_STREAMS,
        "Too many streams are open on this server. Read the order repeatedly instead.",
    ),
    Acquired.CUSTOMER_LIMIT_REACHED: (
        ProblemType.TOO_MANY_CUSTOMER_STREAMS,
        "Too many streams of this customer are open. Close one, or read the order repeatedly.",
    ),
}


def _acquire_stream(key: LimitKey) -> None:
    """Raise a Problem when a limit is reached."""
    if problem := _LIMIT_PROBLEMS.get(streams.acquire(key)):
        raise Problem(*problem, headers={"Retry-After": str(MAX_STREAM_SECONDS)})


class Stream:
    """The text of a stream. Its creator has acquired it from ``streams``; ``close`` releases it.

    The WSGI server always calls ``close``, also for a stream that it never read. Between events the
    stream waits for the order watcher: no transaction is open, and it runs no statements.
    """

    def __init__(
        self, order: Order, seen: OrderProgress | None, seen_wait: str, key: LimitKey
    ) -> None:
        self._order = order
        self._seen = seen
        self._seen_wait = seen_wait
        self._key = key
        self._is_acquired = True

    def close(self) -> None:
        if self._is_acquired:
            self._is_acquired = False
            streams.release(self._key)

    def __iter__(self) -> Iterator[str]:
        yield sse.reconnect_after(RECONNECT_MS)
        ends_at = time.monotonic() + MAX_STREAM_SECONDS
        try:
            yield from self._initial_events()
            while not self._order.has_ended and (left := ends_at - time.monotonic()) > 0:
                timeout = min(left, HEARTBEAT_SECONDS)
                if order_watcher.wait_for_change(self._order, timeout):
                    yield from self._new_events()
                else:
                    yield sse.comment("nothing new")
        except (OperationalError, InterfaceError):
            return  # the client reconnects and gets the events then
        if self._order.has_ended:
            yield sse.event("end", {})

    def _initial_events(self) -> Iterator[str]:
        """Return the current status, or for a reconnecting client the events that it missed."""
        order = self._order
        if self._seen is None:
            since = order.transitioned_at or order.created_at
            yield _event(order, order.status, order.status, order.progress, since)
        elif self._seen < order.progress:
            yield from _events_after(self._seen, order)
        yield from self._wait_event(has_moved=self._seen != order.progress)

    def _new_events(self) -> Iterator[str]:
        seen = self._order
        close_old_connections()
        self._order = Order.objects.with_progress().get(pk=seen.pk)
        yield from _events_after(seen.progress, self._order)
        yield from self._wait_event(has_moved=seen.progress != self._order.progress)

    def _wait_event(self, *, has_moved: bool) -> Iterator[str]:
        """Return the event that the order waits for something else, or no longer, if it is so.

        An event of progress (``has_moved``) already says that the order no longer waits.
        """
        order, wait, seen = self._order, _wait_id(self._order), self._seen_wait
        self._seen_wait = wait
        if wait == seen or (has_moved and wait == _NO_WAIT):
            return
        at = order.wait.since if order.wait else None
        progress, since = order.progress, at or order.transitioned_at or order.created_at
        yield _event(order, WAITING, order.status, progress, since, suffix=f"w{wait}")


def _events_after(seen: OrderProgress, order: Order) -> Iterator[str]:
    """Return each status change after ``seen``; the cancellation request precedes its changes."""
    requested_at, is_requested = order.cancel_requested_at, False
    for transition in transitions_of([order.pk]).get(order.pk, ()):
        if (
            transition.sequence > order.version
        ):  # committed after the order was read: sent next time
            break
        if requested_at is not None and transition.target == OrderStatus.CANCELLING:
            is_requested = True
            before_transition = OrderProgress(transition.sequence - 1, is_cancel_requested=True)
            if before_transition > seen:
                yield _event(
                    order, CANCEL_REQUESTED, transition.source, before_transition, requested_at
                )
        progress = OrderProgress(transition.sequence, is_requested)
        if progress > seen:
            yield _event(order, transition.target, transition.target, progress, transition.at)
    if requested_at is not None and not (is_requested or seen.is_cancel_requested):
        yield _event(order, CANCEL_REQUESTED, order.status, order.progress, requested_at)


def _wait_id(order: Order) -> str:
    """Return eight digits that differ for everything that the order may wait for."""
    return f"{zlib.crc32(repr(order.wait).encode()):08x}" if order.wait else _NO_WAIT


def _event(
    order: Order,
    name: str,
    status: str,
    progress: OrderProgress,
    at: datetime,
    *,
    suffix: str = "",
) -> str:
    event_id = f"{progress.version}{'c' * progress.is_cancel_requested}{suffix}"
    return sse.event(name, StreamEvent.of(order, status, progress, at).as_json(), event_id)
