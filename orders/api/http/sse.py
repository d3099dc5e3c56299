"""Server-sent events (WHATWG HTML, section 9.2), which REST framework does not have."""

import json
from collections.abc import Mapping
from typing import Any, Final

from rest_framework.renderers import BaseRenderer

MEDIA_TYPE: Final = "text/event-stream"
# Proxies must pass each event on at once.
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStreamRenderer(BaseRenderer):
    """Makes ``text/event-stream`` negotiable. The stream itself is not rendered by it."""

    media_type = MEDIA_TYPE
    format = "event-stream"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,  # noqa: ARG002 - REST framework's signature
        renderer_context: Any = None,  # noqa: ARG002
    ) -> bytes:
        return b"" if data is None else json.dumps(data).encode()


def event(name: str, data: Mapping[str, Any], event_id: str | None = None) -> str:
    """Return one event. The browser sends ``event_id`` back as Last-Event-ID."""
    id_line = "" if event_id is None else f"id: {event_id}\n"
    return f"{id_line}event: {name}\ndata: {json.dumps(data)}\n\n"


def comment(text: str) -> str:
    """Return a line that clients ignore. Writing it reveals a closed connection."""
    return f": {text}\n\n"


def reconnect_after(milliseconds: int) -> str:
    """Return the line that says how long a browser waits before it reconnects."""
    return f"retry: {milliseconds}\n\n"
