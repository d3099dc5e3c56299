"""What was recorded, to be read."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from events.models import OutboxEvent
from sagas.admin import ReadOnly


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnly, ModelAdmin[OutboxEvent]):
    list_display = ("recorded_at", "name", "key", "correlation_id")
    search_fields = ("=key", "=correlation_id")
    ordering = ("-id",)
    show_full_result_count = False
