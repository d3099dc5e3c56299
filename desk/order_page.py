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

from desk.actions import OF_ONE_ORDER
from desk.asking import WORDS, may, operator_of
from desk.dossier import Dossier, dossier_of
from desk.next_move import drawn, next_move
from desk.situation import objection
from desk.story import story_of
from lists.cells import short_id
from orders.models import Order
from orders.reasons import words


def page(model_admin: ModelAdmin[Order], request: HttpRequest, object_id: str) -> HttpResponse:
    """Show everything about an order."""
    if request.method == "POST" or not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        dossier = dossier_of(UUID(object_id))
    except (ValueError, Order.DoesNotExist):
        messages.warning(request, f"There is no order {object_id[:80]}.")
        return HttpResponseRedirect(reverse("admin:orders_order_changelist"))
    context = {
        **model_admin.admin_site.each_context(request),
        **_context(dossier, operator_of(request)),
        "opts": model_admin.opts,
        "original": dossier.order,
        "title": f"Order {short_id(dossier.order.pk)}",
    }
    return TemplateResponse(request, "desk/orders/page.html", context)


def fragment(model_admin: ModelAdmin[Order], request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Show the same without the frame; the page puts it in place of what it shows."""
    if not model_admin.has_view_permission(request):
        return HttpResponse(status=HTTPStatus.FORBIDDEN)
    try:
        dossier = dossier_of(order_id)
    except Order.DoesNotExist:
        raise Http404 from None
    return render(request, "desk/orders/now.html", _context(dossier, operator_of(request)))


def _context(dossier: Dossier, operator: User) -> dict[str, Any]:
    situation = dossier.situation
    flagged = [each for each in situation.runs if each.needs_attention]
    return {
        "order": dossier.order,
        "reason_in_words": words(dossier.order),
        "is_live": situation.live is not None,
        "flagged": flagged,
        "frozen": situation.frozen,
        "frozen_by": situation.frozen_by,
        "next_move": next_move(situation),
        "drawings": [drawn(each) for each in situation.runs],
        "buttons": _buttons(dossier, operator),
        "entries": story_of(dossier),
        "lines": dossier.lines,
        "payments": dossier.payments,
        "runs": situation.runs,
    }


def _buttons(dossier: Dossier, operator: User) -> list[dict[str, str]]:
    """What this person may do to the order as it stands."""
    situation = dossier.situation
    return [
        {
            "kind": kind.value,
            "label": WORDS[kind].button,
            "url": reverse("admin:orders_order_act", args=[dossier.order.pk, kind.value]),
        }
        for kind in OF_ONE_ORDER
        if may(operator, kind, situation) and not objection(kind, situation, operator)
    ]
