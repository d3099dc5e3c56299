"""The page of one order, and its content alone, which the page polls while the run is live."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from adminkit.cells import short_id
from desk.action_forms import ACTION_TEXTS, has_permission, operator_of
from desk.actions import SINGLE_ORDER_ACTIONS
from desk.audit_timeline import audit_timeline
from desk.order_detail import OrderDetail, order_detail
from desk.order_state import blocked_reason
from desk.run_diagram import next_step_sentence, run_diagram
from desk.wait_actions import wait_buttons
from orders.cancellation_messages import cancellation_message
from orders.models import Order


def page(model_admin: ModelAdmin[Order], request: HttpRequest, object_id: str) -> HttpResponse:
    """Show one order. Redirects to the list for an unknown id. Raises PermissionDenied."""
    if request.method == "POST" or not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        detail = order_detail(UUID(object_id))
    except (ValueError, Order.DoesNotExist):
        messages.warning(request, f"There is no order {object_id[:80]}.")
        return HttpResponseRedirect(reverse("admin:orders_order_changelist"))
    context = {
        **model_admin.admin_site.each_context(request),
        **_context(detail, operator_of(request)),
        "opts": model_admin.opts,
        "original": detail.order,
        "title": f"Order {short_id(detail.order.pk)}",
    }
    return TemplateResponse(request, "desk/orders/page.html", context)


def content(model_admin: ModelAdmin[Order], request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Return the content of the page as HTML. Raises Http404; answers 403 without permission."""
    if not model_admin.has_view_permission(request):
        return HttpResponse(status=HTTPStatus.FORBIDDEN)
    try:
        detail = order_detail(order_id)
    except Order.DoesNotExist:
        raise Http404 from None
    return render(request, "desk/orders/content.html", _context(detail, operator_of(request)))


def _context(detail: OrderDetail, operator: User) -> dict[str, Any]:
    state = detail.state
    flagged = [run for run in state.runs if run.needs_attention]
    return {
        "order": detail.order,
        "reason_for_customer": cancellation_message(detail.order),
        "is_live": state.live is not None,
        "flagged": flagged,
        "paused": state.paused,
        "paused_by": state.paused_by,
        "next_step_sentence": next_step_sentence(state),
        "diagrams": [run_diagram(run) for run in state.runs],
        "buttons": [*_buttons(detail, operator), *wait_buttons(state, operator)],
        "approvals": detail.open_approvals if operator.has_perm("approvals.view_approval") else [],
        "read_at": state.live.now if state.live else None,
        "timeline": audit_timeline(detail),
        "lines": detail.lines,
        "payments": detail.payments,
        "runs": state.runs,
    }


def _buttons(detail: OrderDetail, operator: User) -> list[dict[str, str]]:
    """Return the buttons of the actions that permissions and state allow."""
    state = detail.state
    return [
        {
            "kind": kind.value,
            "label": ACTION_TEXTS[kind].button,
            "url": reverse("admin:orders_order_act", args=[detail.order.pk, kind.value]),
        }
        for kind in SINGLE_ORDER_ACTIONS
        if has_permission(operator, kind, state) and not blocked_reason(kind, state, operator)
    ]
