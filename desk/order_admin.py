"""The admin of orders: list, page and actions. Orders are not editable."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from adminkit import cells
from adminkit.admin import RecordAdmin
from adminkit.cells import amount, short_id
from desk import (
    action_views,
    bulk_views,
    export_view,
    order_filters,
    order_page,
    permissions,
    wait_views,
)
from desk.action_forms import ACTION_TEXTS, has_permission_for_some_order, operator_of
from desk.actions import SINGLE_ORDER_ACTIONS
from desk.models import ActionKind
from desk.order_list import OrderList, age, customer_of, in_state_for, in_state_since, newest_run_of
from desk.order_search import SEARCHES, search_hint
from desk.sessions import in_background
from orders.models import Order


@admin.register(Order)
class OrderAdmin(RecordAdmin[Order]):
    change_list_template = "desk/orders/list.html"
    list_display = ("order", "customer_name", "state", "step", "time_in_state", "total", "flag")
    list_display_links = ("order",)
    list_filter = order_filters.ALL
    list_select_related = ("customer",)
    searches = SEARCHES
    empty_text = "No customer has placed an order yet."

    @property
    def search_help_text(self) -> str:  # type: ignore[override]  # the text depends on a setting
        return search_hint()

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[OrderList]:  # noqa: ARG002 - Django's signature
        return OrderList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # noqa: ARG002
        return lookup in order_filters.PARAMETERS

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the bulk actions that the operator may start on ticked orders."""
        return {
            kind.value: (partial(bulk_views.confirm_ticked, kind), kind.value, f"{text.button}…")
            for kind, text in ACTION_TEXTS.items()
            if kind in self._bulk_kinds(request)
        }

    def _bulk_kinds(self, request: HttpRequest) -> list[ActionKind]:
        operator = operator_of(request)
        if not operator.has_perm(permissions.ACT_IN_BULK):
            return []
        return [
            kind for kind in SINGLE_ORDER_ACTIONS if has_permission_for_some_order(operator, kind)
        ]

    def get_urls(self) -> list[URLPattern]:
        protected = self.admin_site.admin_view
        views: dict[str, tuple[str, Callable[..., HttpResponseBase]]] = {
            "act": ("<uuid:order_id>/act/<str:kind>/", partial(action_views.act, self)),
            "extend": ("<uuid:order_id>/extend/", partial(wait_views.extend_view, self)),
            "signal": (
                "<uuid:order_id>/signal/<slug:name>/",
                partial(wait_views.signal_view, self),
            ),
            "content": (
                "<uuid:order_id>/content/",
                in_background(partial(order_page.content, self)),
            ),
            "in_bulk": ("in-bulk/<str:kind>/", partial(bulk_views.confirm, self)),
            "export": ("export/", partial(export_view.export, self)),
        }
        own = [
            path(route, protected(view), name=f"orders_order_{name}")
            for name, (route, view) in views.items()
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse | HttpResponse:
        context = {
            "bulk": [(kind.value, ACTION_TEXTS[kind].button) for kind in self._bulk_kinds(request)],
            "may_export": request.user.has_perm(permissions.EXPORT),
            "query": request.GET.urlencode(),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        return order_page.page(self, request, object_id)

    @admin.display(description="order")
    def order(self, order: Order) -> SafeString:
        return format_html(
            '<span class="order-id" title="{}">{}</span>', order.pk, short_id(order.pk)
        )

    @admin.display(description="customer")
    def customer_name(self, order: Order) -> SafeString:
        return format_html(
            '{} <span class="hint">{}</span>', customer_of(order), order.reference or ""
        )

    @admin.display(description="state")
    def state(self, order: Order) -> SafeString:
        return cells.state(order.status)

    @admin.display(description="step", empty_value="")
    def step(self, order: Order) -> str | None:
        run = newest_run_of(order)
        if run is None or not run.is_live:
            return None
        step = f"compensating: {run.step}" if run.is_compensating else run.step
        return f"{step}, attempt {run.attempt_count}" if run.attempt_count else step

    @admin.display(description="in this state for")
    def time_in_state(self, order: Order) -> SafeString:
        since = in_state_since(order)
        return format_html(
            '<time datetime="{}" title="since {}">{}</time>',
            since.isoformat(),
            since.strftime("%Y-%m-%d %H:%M:%S UTC"),
            age(in_state_for(order)),
        )

    @admin.display(description="total")
    def total(self, order: Order) -> SafeString:
        return amount(order.total_minor, order.currency)

    @admin.display(description="flag", empty_value="")
    def flag(self, order: Order) -> SafeString | None:
        run = newest_run_of(order)
        if run is None or not run.needs_attention:
            return None
        word = "paused" if run.paused_at else "check"
        return format_html(
            '<span class="flag">{}</span> <span class="flag-reason" title="{}">{}</span>',
            word,
            run.attention_reason,
            run.attention_reason,
        )
