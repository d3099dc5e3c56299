"""Tokens at the desk: who has which, and what for; never by what they could be found out."""

from typing import Any

from django.contrib import admin
from unfold.admin import ModelAdmin

from access.models import ApiToken


@admin.register(ApiToken)
class ApiTokenAdmin(ModelAdmin[ApiToken]):
    list_display = ("token_key", "name", "user", "scopes", "created", "expiry", "revoked_at")
    list_filter = ("revoked_at", "expiry")
    list_select_related = ("user",)
    search_fields = ("=token_key", "=user__username", "name")
    fields = (*list_display, "revoked_by", "revoked_reason")
    readonly_fields = fields
    show_full_result_count = False

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False
