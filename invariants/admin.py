"""Breaks at the desk: to be read, and to be resolved with a note; nothing is ever deleted."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextareaWidget

from invariants.models import ReconciliationBreak
from invariants.recording import BY_CODE, order_named, resolve


class ResolutionForm(forms.ModelForm[ReconciliationBreak]):
    resolution = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="What it was, and what was done. The break is closed; seen again, it is a new one.",
    )

    class Meta:
        model = ReconciliationBreak
        fields = ("resolution",)


@admin.register(ReconciliationBreak)
class ReconciliationBreakAdmin(ModelAdmin[ReconciliationBreak]):
    form = ResolutionForm
    list_display = (
        "code",
        "kind",
        "subject",
        "detail",
        "first_seen",
        "last_seen",
        "times_seen",
        "order_frozen_at",
        "resolved_at",
    )
    list_filter = (("resolved_at", admin.EmptyFieldListFilter), "kind", "code")
    search_fields = ("=subject", "detail")
    ordering = ("-first_seen",)
    show_full_result_count = False
    actions = None
    readonly_fields = (
        "code",
        "sentence",
        "kind",
        "order",
        "detail",
        "first_seen",
        "last_seen",
        "times_seen",
        "order_frozen_at",
        "resolved_at",
        "resolved_by",
    )
    fields = (*readonly_fields, "resolution")

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: ReconciliationBreak | None = None
    ) -> bool:
        """What is resolved stays as it was resolved."""
        return super().has_change_permission(request, obj) and (obj is None or obj.is_open)

    def save_model(self, request: HttpRequest, obj: ReconciliationBreak, *_: Any) -> None:
        resolve(obj.pk, obj.resolution, request.user.get_username())

    @admin.display(description="what is always true")
    def sentence(self, each: ReconciliationBreak) -> str:
        return BY_CODE[each.code].sentence if each.code in BY_CODE else ""

    @admin.display(description="subject")
    def order(self, each: ReconciliationBreak) -> str:
        """The subject, with a way to its order."""
        if order_named(each.subject) is None:
            return each.subject
        page = reverse("admin:orders_order_change", args=[each.subject])
        return format_html('<a href="{}">order {}</a>', page, each.subject)
