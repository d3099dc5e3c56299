"""Read-only admin of staff actions on orders and of bulk actions."""

from functools import partial
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from adminkit.admin import RecordAdmin
from adminkit.cells import excerpt, order_link, state, timestamp
from adminkit.filters import newest_rows_filter
from adminkit.search import search_ids, search_username
from desk import bulk_views, permissions
from desk.models import ActionKind, ActionOutcome, BulkAction, OperatorAction
from desk.sessions import in_background

_KINDS: Final = [(kind.value, str(kind.label)) for kind in ActionKind]


def by_shell_user(name: str) -> Q | None:
    """Match the actions of a user of a shell; the index on ``operator`` finds all shell actions."""
    return Q(operator__isnull=True, shell_user=name) if name.startswith("shell:") else None


@admin.register(OperatorAction)
class OperatorActionAdmin(RecordAdmin[OperatorAction]):
    list_display = (
        "when",
        "actor",
        "action",
        "order_page",
        "result",
        "reason_text",
        "before",
        "after",
    )
    list_filter = (
        newest_rows_filter("kind", "action", _KINDS),
        newest_rows_filter(
            "outcome", "outcome", [(value, value) for value in ActionOutcome.values]
        ),
    )
    list_select_related = ("operator",)
    searches = (search_ids("order_id"), search_username("operator_id"), by_shell_user)
    search_help_text = "An order's id or its beginning, a whole username, or shell:name"
    empty_text = "Every action on an order, at the desk or from a shell, is stored with its reason. There is no action yet."
    fields = (
        *("when", "actor", "action", "order_page", "reason"),
        *("result", "message", "before", "after"),
    )
    readonly_fields = fields

    @admin.display(description="when (UTC)")
    def when(self, row: OperatorAction) -> SafeString | None:
        return timestamp(row.at)

    @admin.display(description="actor")
    def actor(self, row: OperatorAction) -> str:
        return row.actor

    @admin.display(description="action")
    def action(self, row: OperatorAction) -> str:
        return row.get_kind_display()

    @admin.display(description="order")
    def order_page(self, row: OperatorAction) -> SafeString | str:
        return order_link(row.order_id) or "many"

    @admin.display(description="outcome")
    def result(self, row: OperatorAction) -> SafeString:
        return state(row.outcome)

    @admin.display(description="reason")
    def reason_text(self, row: OperatorAction) -> SafeString:
        return excerpt(row.reason)


@admin.register(BulkAction)
class BulkActionAdmin(RecordAdmin[BulkAction]):
    list_display = ("when", "actor", "action", "count", "selection_text", "status", "reason_text")
    list_filter = (newest_rows_filter("kind", "action", _KINDS),)
    list_select_related = ("operator",)
    searches = (search_ids("pk"),)
    search_help_text = "A bulk action's id, or its beginning"
    empty_text = (
        "Actions on many orders at once. Start one with “All of these…” above the list of orders."
    )

    @admin.display(description="when (UTC)")
    def when(self, bulk: BulkAction) -> SafeString | None:
        return timestamp(bulk.created_at)

    @admin.display(description="actor")
    def actor(self, bulk: BulkAction) -> str:
        return bulk.operator.get_username()

    @admin.display(description="action")
    def action(self, bulk: BulkAction) -> str:
        return bulk.get_kind_display()

    @admin.display(description="orders")
    def count(self, bulk: BulkAction) -> int:
        return bulk.count

    @admin.display(description="which orders")
    def selection_text(self, bulk: BulkAction) -> SafeString:
        return excerpt(bulk.selection)

    @admin.display(description="state")
    def status(self, bulk: BulkAction) -> SafeString:
        if bulk.stopped_at is not None:
            return state("stopped", f"by {bulk.stopped_by}")
        return (
            state("in-progress", word="in progress") if bulk.ended_at is None else state("finished")
        )

    @admin.display(description="reason")
    def reason_text(self, bulk: BulkAction) -> SafeString:
        return excerpt(bulk.reason)

    def has_view_permission(self, request: HttpRequest, obj: BulkAction | None = None) -> bool:
        """Allow staff who may start bulk actions, too."""
        may_start = request.user.has_perm(permissions.ACT_IN_BULK)
        return may_start or super().has_view_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        protected = self.admin_site.admin_view
        own = [
            path(
                "<uuid:pk>/progress/",
                protected(in_background(partial(bulk_views.progress_json, self))),
                name="desk_bulkaction_progress",
            ),
            path(
                "<uuid:pk>/stop/",
                protected(partial(bulk_views.stop_bulk_action, self)),
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
        return bulk_views.progress_page(self, request, bulk)
