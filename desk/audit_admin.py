"""What people did to orders: every act with its reason, and every bulk action. Only to be read."""

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from desk import bulk_views, permissions
from desk.models import BulkAction, OperatorAction
from desk.order_list import UncountedList, short_id
from desk.sessions import in_background
from sagas.admin import ReadOnly


@admin.register(OperatorAction)
class OperatorActionAdmin(ReadOnly, ModelAdmin[OperatorAction]):
    list_display = (
        "moment",
        "actor",
        "kind",
        "order_page",
        "outcome",
        "reason",
        "before",
        "after",
    )
    list_filter = ("kind", "outcome")
    list_select_related = ("operator",)
    list_fullwidth = True
    search_fields = ("=order__id", "=operator__username", "=shell_user")
    search_help_text = "An order's whole id, or who did it: an account's name, or shell:name"
    ordering = ("-id",)
    sortable_by: ClassVar[tuple[str, ...]] = ()
    show_full_result_count = False
    fields = (
        "moment",
        "actor",
        "kind",
        "order_page",
        "reason",
        "outcome",
        "told",
        "before",
        "after",
    )
    readonly_fields = fields

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[UncountedList]:  # noqa: ARG002 - Django's signature
        return UncountedList

    @admin.display(description="at (UTC)")
    def moment(self, done: OperatorAction) -> SafeString:
        return format_html('<span class="amount">{}</span>', f"{done.at:%Y-%m-%d %H:%M:%S}")

    @admin.display(description="order")
    def order_page(self, done: OperatorAction) -> SafeString | str:
        if done.order_id is None:
            return "many"
        address = reverse("admin:orders_order_change", args=[done.order_id])
        return format_html('<a class="order-id" href="{}">{}</a>', address, short_id(done.order_id))


@admin.register(BulkAction)
class BulkActionAdmin(ReadOnly, ModelAdmin[BulkAction]):
    list_display = ("created_at", "kind", "count", "chosen_by", "operator", "reason", "ended_at")
    list_filter = ("kind",)
    list_select_related = ("operator",)
    list_fullwidth = True
    ordering = ("-id",)
    sortable_by: ClassVar[tuple[str, ...]] = ()
    show_full_result_count = False

    def has_view_permission(self, request: HttpRequest, obj: BulkAction | None = None) -> bool:
        """Whoever may begin one may see what comes of it."""
        may_begin = request.user.has_perm(permissions.ACT_IN_BULK)
        return may_begin or super().has_view_permission(request, obj)

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[UncountedList]:  # noqa: ARG002 - Django's signature
        return UncountedList

    def get_urls(self) -> list[URLPattern]:
        inside = self.admin_site.admin_view
        own = [
            path(
                "<uuid:pk>/progress/",
                inside(in_background(partial(bulk_views.progress, self))),
                name="desk_bulkaction_progress",
            ),
            path(
                "<uuid:pk>/stop/",
                inside(partial(bulk_views.stop_it, self)),
                name="desk_bulkaction_stop",
            ),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        if request.method == "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        bulk = self.get_object(request, object_id)
        if bulk is None:
            raise Http404
        return bulk_views.page(self, request, bulk)
