"""What was recorded, to be read."""

import json
from typing import Any, Final

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.models import OutboxEvent
from lists.admin import Recorded
from lists.cells import excerpt, moment, order_link
from lists.filters import NEWEST, AmongTheNewest
from lists.search import by_id

_NAMES_FROM: Final = 1000
"""The newest facts, whose names are offered to choose from."""


def in_words(value: Any) -> str:
    """Write what a fact carries without the signs that programs need."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {in_words(each)}" for name, each in value.items())
    return "; ".join(map(in_words, value)) if isinstance(value, list) else str(value)


class Name(AmongTheNewest):
    title = f"fact, among the newest {NEWEST:,}"
    parameter_name = column = "name"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        newest = OutboxEvent.objects.order_by("-pk").values_list("name", flat=True)[:_NAMES_FROM]
        return [(each, each) for each in sorted(set(newest))]


@admin.register(OutboxEvent)
class OutboxEventAdmin(Recorded[OutboxEvent]):
    list_display = ("recorded", "fact", "order", "says")
    list_filter = (Name,)
    readings = (by_id("pk", "key"),)
    search_help_text = "An order's id, or how it begins"
    when_empty = "What becomes true of an order is recorded here, such as order.placed. No order was placed yet."
    fields = ("order", "fact", "recorded", "all_of_it", "correlation_id")
    readonly_fields = fields

    @admin.display(description="recorded (UTC)")
    def recorded(self, fact: OutboxEvent) -> SafeString | None:
        return moment(fact.recorded_at)

    @admin.display(description="fact")
    def fact(self, fact: OutboxEvent) -> str:
        return fact.name

    @admin.display(description="order")
    def order(self, fact: OutboxEvent) -> SafeString | None:
        return order_link(fact.key)

    @admin.display(description="what it says")
    def says(self, fact: OutboxEvent) -> SafeString:
        return excerpt(in_words(fact.payload))

    @admin.display(description="what it says")
    def all_of_it(self, fact: OutboxEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(fact.payload, indent=2))
