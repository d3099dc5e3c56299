"""One order on one page, and the part of it that follows the order while its run is live."""

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
from desk.action_forms import WORDS, may, operator_of
from desk.actions import OF_ONE_ORDER
from desk.audit_timeline import audit_timeline
from desk.order_detail import OrderDetail, order_detail
from desk.order_state import blocked_reason
from desk.run_diagram import next_step_sentence, run_diagram
from orders.cancellation_messages import words
from orders.models import Order


def page(model_admin: ModelAdmin[Order], request: HttpRequest, object_id: str) -> HttpResponse:
    """Show everything about an order."""
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


def fragment(model_admin: ModelAdmin[Order], request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Show the same without the frame; the page puts it in place of what it shows."""
    if not model_admin.has_view_permission(request):
        return HttpResponse(status=HTTPStatus.FORBIDDEN)
    try:
        detail = order_detail(order_id)
    except Order.DoesNotExist:
        raise Http404 from None
    return render(request, "desk/orders/now.html", _context(detail, operator_of(request)))


def _context(detail: OrderDetail, operator: User) -> dict[str, Any]:
    state = detail.state
    flagged = [each for each in state.runs if each.needs_attention]
    return {
        "order": detail.order,
        "reason_in_words": words(detail.order),
        "is_live": state.live is not None,
        "flagged": flagged,
        "paused": state.paused,
        "paused_by": state.paused_by,
        "next_step_sentence": next_step_sentence(state),
        "drawings": [run_diagram(each) for each in state.runs],
        "buttons": _buttons(detail, operator),
        "entries": audit_timeline(detail),
        "lines": detail.lines,
        "payments": detail.payments,
        "runs": state.runs,
    }


def _buttons(detail: OrderDetail, operator: User) -> list[dict[str, str]]:
    """What this person may do to the order as it stands."""
    state = detail.state
    return [
        {
            "kind": kind.value,
            "label": WORDS[kind].button,
            "url": reverse("admin:orders_order_act", args=[detail.order.pk, kind.value]),
        }
        for kind in OF_ONE_ORDER
        if may(operator, kind, state) and not blocked_reason(kind, state, operator)
    ]
