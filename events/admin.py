"""The events in the admin, read-only."""

import json
from typing import Any, Final

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from adminkit.admin import RecordAdmin
from adminkit.cells import excerpt, order_link, timestamp
from adminkit.filters import NEWEST_ROWS, NewestRowsFilter
from adminkit.search import search_ids
from events.models import OutboxEvent, TransportPosition
from events.relay.lag import lag_of

_NAMES_FROM: Final = 1000
"""The filter offers the names of this many newest events."""


def in_words(value: Any) -> str:
    """Return a payload as text without braces and quotes."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {in_words(item)}" for name, item in value.items())
    return "; ".join(map(in_words, value)) if isinstance(value, list) else str(value)


class Name(NewestRowsFilter):
    title = f"event, among the newest {NEWEST_ROWS:,}"
    parameter_name = column = "name"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        newest = OutboxEvent.objects.order_by("-pk").values_list("name", flat=True)[:_NAMES_FROM]
        return [(name, name) for name in sorted(set(newest))]


@admin.register(OutboxEvent)
class OutboxEventAdmin(RecordAdmin[OutboxEvent]):
    list_display = ("recorded", "event", "order", "payload_excerpt")
    list_filter = (Name,)
    searches = (search_ids("pk", "key"),)
    search_help_text = "An order's id or its beginning"
    empty_text = "Events of orders, such as order.placed. No order was placed yet."
    fields = ("order", "event", "recorded", "payload_json", "correlation_id")
    readonly_fields = fields

    @admin.display(description="recorded (UTC)")
    def recorded(self, event: OutboxEvent) -> SafeString | None:
        return timestamp(event.recorded_at)

    @admin.display(description="event")
    def event(self, event: OutboxEvent) -> str:
        return event.name

    @admin.display(description="order")
    def order(self, event: OutboxEvent) -> SafeString | None:
        return order_link(event.key)

    @admin.display(description="payload")
    def payload_excerpt(self, event: OutboxEvent) -> SafeString:
        return excerpt(in_words(event.payload))

    @admin.display(description="payload")
    def payload_json(self, event: OutboxEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(event.payload, indent=2))


@admin.register(TransportPosition)
class TransportPositionAdmin(RecordAdmin[TransportPosition]):
    list_display = ("transport", "waiting", "oldest", "published", "problem", "failing")
    fields = ("transport", "waiting", "oldest", "published", "problem", "failing", "relay")
    readonly_fields = fields
    empty_text = "Where events are published. The process relay has not published any yet."

    @admin.display(description="events that wait")
    def waiting(self, position: TransportPosition) -> str:
        return f"{lag_of(position).waiting:,}"

    @admin.display(description="the oldest of them")
    def oldest(self, position: TransportPosition) -> str:
        seconds = lag_of(position).seconds
        return f"{seconds:,.1f} s" if seconds else ""

    @admin.display(description="last published (UTC)")
    def published(self, position: TransportPosition) -> SafeString | None:
        return timestamp(position.published_at)

    @admin.display(description="fails since (UTC)")
    def failing(self, position: TransportPosition) -> SafeString | None:
        return timestamp(position.failing_since)
