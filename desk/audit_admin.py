"""Read-only admin of staff actions on orders and of bulk actions."""

from functools import partial
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from adminkit.admin import RecordAdmin
from adminkit.cells import excerpt, order_link, state, timestamp
from adminkit.filters import newest_rows_filter
from adminkit.search import search_ids, search_related
from desk import bulk_views, permissions
from desk.models import ActionKind, ActionOutcome, BulkAction, OperatorAction
from desk.sessions import in_background

_KINDS: Final = [(kind.value, str(kind.label)) for kind in ActionKind]


def staff_called(name: str) -> QuerySet[User, Any]:
    return User.objects.filter(username=name).values_list("pk", flat=True)


def by_shell_user(name: str) -> Q | None:
    """Match actions from a shell; their rows are together in an index."""
    return Q(operator__isnull=True, shell_user=name) if name.startswith("shell:") else None


@admin.register(OperatorAction)
class OperatorActionAdmin(RecordAdmin[OperatorAction]):
    list_display = ("when", "who", "act", "order_page", "result", "because", "before", "after")
    list_filter = (
        newest_rows_filter("kind", "action", _KINDS),
        newest_rows_filter("outcome", "outcome", [(each, each) for each in ActionOutcome.values]),
    )
    list_select_related = ("operator",)
    searches = (search_ids("order_id"), search_related("operator_id", staff_called), by_shell_user)
    search_help_text = (
        "An order's id or how it begins, or who did it: an account's name, or shell:name"
    )
    empty_text = "Every action on an order, at the desk or from a shell, is recorded with its reason. No action was recorded yet."
    fields = (
        *("when", "who", "act", "order_page", "reason"),
        *("result", "message", "before", "after"),
    )
    readonly_fields = fields

    @admin.display(description="when (UTC)")
    def when(self, done: OperatorAction) -> SafeString | None:
        return timestamp(done.at)

    @admin.display(description="who")
    def who(self, done: OperatorAction) -> str:
        return done.actor

    @admin.display(description="action")
    def act(self, done: OperatorAction) -> str:
        return done.get_kind_display()

    @admin.display(description="order")
    def order_page(self, done: OperatorAction) -> SafeString | str:
        return order_link(done.order_id) or "many"

    @admin.display(description="outcome")
    def result(self, done: OperatorAction) -> SafeString:
        return state(done.outcome)

    @admin.display(description="reason")
    def because(self, done: OperatorAction) -> SafeString:
        return excerpt(done.reason)


@admin.register(BulkAction)
class BulkActionAdmin(RecordAdmin[BulkAction]):
    list_display = ("when", "who", "act", "count", "chosen", "stands", "because")
    list_filter = (newest_rows_filter("kind", "action", _KINDS),)
    list_select_related = ("operator",)
    searches = (search_ids("pk"),)
    search_help_text = "A bulk action's id, or how it begins"
    empty_text = "Actions on many orders at once, from “All of these…” above the list of orders. No bulk action was started yet."

    @admin.display(description="when (UTC)")
    def when(self, bulk: BulkAction) -> SafeString | None:
        return timestamp(bulk.created_at)

    @admin.display(description="who")
    def who(self, bulk: BulkAction) -> str:
        return bulk.operator.get_username()

    @admin.display(description="action")
    def act(self, bulk: BulkAction) -> str:
        return bulk.get_kind_display()

    @admin.display(description="orders")
    def count(self, bulk: BulkAction) -> int:
        return bulk.count

    @admin.display(description="which")
    def chosen(self, bulk: BulkAction) -> SafeString:
        return excerpt(bulk.selection)

    @admin.display(description="state")
    def stands(self, bulk: BulkAction) -> SafeString:
        if bulk.stopped_at is not None:
            return state("stopped", f"by {bulk.stopped_by}")
        return (
            state("in-progress", word="in progress") if bulk.ended_at is None else state("finished")
        )

    @admin.display(description="reason")
    def because(self, bulk: BulkAction) -> SafeString:
        return excerpt(bulk.reason)

    def has_view_permission(self, request: HttpRequest, obj: BulkAction | None = None) -> bool:
        """Staff who may start bulk actions may see them."""
        may_start = request.user.has_perm(permissions.ACT_IN_BULK)
        return may_start or super().has_view_permission(request, obj)

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
                inside(partial(bulk_views.stop_view, self)),
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
