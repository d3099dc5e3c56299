"""One order's progress as server-sent events, for a page that shows it live.

A stream holds a thread of a web process, so it is bounded twice: in number, so that there are always
threads left for orders; and in time, so that a process that is to stop need not wait for one longer
than for any request. A browser's ``EventSource`` comes back by itself, and says what it saw last.
"""

import json
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, close_old_connections
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.grants import Scope
from access.permissions import Scopes
from orders.api.callers import own_order
from orders.api.problem_types import ProblemType
from orders.api.problems import Problem
from orders.api.queries import NoQuery, parse_query
from orders.api.representations import ProgressEvent
from orders.api.slots import Slots
from orders.api.waiting import LONGEST_SECONDS, watcher
from orders.models import Order, moves_of
from orders.states import SETTLED

HEARTBEAT_SECONDS: Final = 3
"""Something is written at least as often: by that it is noticed that nobody reads any more."""
COME_BACK_MS: Final = 1000
_VERSION_DIGITS: Final = 9


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
        """Stream an order's state and each of its moves, until it got there or ten seconds long."""
        parse_query(NoQuery, request)
        order = own_order(request, order_id)
        seen = _last_seen(request, order)
        if seen == order.version and order.status in SETTLED:
            return Response(status=HTTPStatus.NO_CONTENT)  # by this a browser stops coming back
        if request.method == "HEAD":
            return HttpResponse(headers=_HEADERS, content_type=EventStreamRenderer.media_type)
        if not streams.take():
            raise Problem(
                ProblemType.TOO_MANY_STREAMS,
                "As many streams are open as may be. Read the order itself now and then.",
                headers={"Retry-After": str(LONGEST_SECONDS)},
            )
        return StreamingHttpResponse(
            Stream(order, seen), content_type=EventStreamRenderer.media_type, headers=_HEADERS
        )


# A proxy is not to keep events back until there are many.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def _last_seen(request: Request, order: Order) -> int | None:
    """Return the version that the client saw last; None for what was never one of this order."""
    given = request.headers.get("Last-Event-ID", "")
    if not (given.isascii() and given.isdigit() and len(given) <= _VERSION_DIGITS):
        return None
    return int(given) if int(given) <= order.version else None


streams = Slots("STREAMS_PER_PROCESS")


class Stream:
    """The text of a stream; whoever made it has taken a slot, which is given back at its end.

    The server closes it in the end, whether or not it ever began. Between events it waits for the
    watcher, with no transaction open and no statement of its own.
    """

    def __init__(self, order: Order, seen: int | None) -> None:
        self._order = order
        self._seen = seen
        self._has_slot = True

    def close(self) -> None:
        if self._has_slot:
            self._has_slot = False
            streams.give_back()

    def __iter__(self) -> Iterator[str]:
        yield f"retry: {COME_BACK_MS}\n\n"
        ends_at = time.monotonic() + LONGEST_SECONDS
        try:
            yield from self._missed()
            while self._order.status not in SETTLED and (left := ends_at - time.monotonic()) > 0:
                patience = min(left, HEARTBEAT_SECONDS)
                if watcher.wait_for_move(self._order.pk, self._order.version, patience):
                    yield from self._news()
                else:
                    yield ": nothing new\n\n"
        except (OperationalError, InterfaceError):
            return  # the client comes back, and is told then
        if self._order.status in SETTLED:
            yield "event: end\ndata: {}\n\n"

    def _missed(self) -> Iterator[str]:
        """Tell how the order stands, or what has happened since the client was here before."""
        if self._seen is None:
            yield _event(ProgressEvent.now(self._order))
        elif self._seen < self._order.version:
            yield from self._moves_since(self._seen)

    def _news(self) -> Iterator[str]:
        before = self._order.version
        close_old_connections()
        self._order = Order.objects.with_progress().get(pk=self._order.pk)
        yield from self._moves_since(before)

    def _moves_since(self, version: int) -> Iterator[str]:
        for move in moves_of([self._order.pk]).get(self._order.pk, ()):
            if version < move.sequence <= self._order.version:
                yield _event(ProgressEvent.of(self._order, move))


def _event(shown: ProgressEvent) -> str:
    data = json.dumps(shown.as_json())
    return f"id: {shown.version}\nevent: {shown.status.value}\ndata: {data}\n\n"
