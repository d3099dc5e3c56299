"""The confirmation page of an action on one order. A GET shows it; a POST acts."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from adminkit.cells import short_id
from desk.action_forms import (
    ACTION_TEXTS,
    ReasonForm,
    empty_form,
    has_permission,
    has_permission_for_some_order,
    operator_of,
)
from desk.actions import SINGLE_ORDER_ACTIONS, ActionRequest, TokenReused, perform
from desk.models import ActionKind, ActionOutcome
from desk.order_state import OrderState, blocked_reason, order_state
from orders.models import Order


def act(
    model_admin: ModelAdmin[Order], request: HttpRequest, order_id: UUID, kind: str
) -> HttpResponse:
    """Show the confirmation page (GET), or act and redirect to the order (POST).

    Raises Http404 for an unknown order or action, and PermissionDenied.
    """
    action_kind = kind_named(kind)
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        state = order_state(order_id)
    except Order.DoesNotExist:
        raise Http404 from None
    operator = operator_of(request)
    if not (
        has_permission(operator, action_kind, state)
        or has_permission_for_some_order(operator, action_kind)
    ):
        raise PermissionDenied
    if request.method != "POST":
        return _confirmation_page(model_admin, request, state, action_kind, empty_form())
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _confirmation_page(
            model_admin, request, state, action_kind, form, status=HTTPStatus.BAD_REQUEST
        )
    confirmed = ActionRequest(
        action_kind, order_id, operator, form.cleaned_data["reason"], form.cleaned_data["token"]
    )
    return _perform(model_admin, request, state, confirmed, form)


def kind_named(name: str) -> ActionKind:
    """Return the action named in an address. Raises Http404."""
    found = next((kind for kind in SINGLE_ORDER_ACTIONS if kind.value == name), None)
    if found is None:
        raise Http404
    return found


def _perform(
    model_admin: ModelAdmin[Order],
    request: HttpRequest,
    state: OrderState,
    action: ActionRequest,
    form: ReasonForm,
) -> HttpResponse:
    try:
        row = perform(action)
    except TokenReused:
        form.add_error(None, "This form was used for another action. Open it again.")
        return _confirmation_page(
            model_admin, request, state, action.kind, form, status=HTTPStatus.CONFLICT
        )
    except OperationalError:
        form.add_error(None, "A worker has locked the order. Nothing was changed; try again.")
        return _confirmation_page(
            model_admin, request, state, action.kind, form, status=HTTPStatus.CONFLICT
        )
    was_done = row.outcome == ActionOutcome.DONE
    level = messages.SUCCESS if was_done else messages.WARNING
    label = ACTION_TEXTS[action.kind].button
    message = f"{label}: {row.message}" if was_done else f"{label} was refused: {row.message}"
    messages.add_message(request, level, message)
    return HttpResponseRedirect(reverse("admin:orders_order_change", args=[action.order_id]))


def _confirmation_page(
    model_admin: ModelAdmin[Order],
    request: HttpRequest,
    state: OrderState,
    kind: ActionKind,
    form: ReasonForm,
    *,
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    order, text = state.order, ACTION_TEXTS[kind]
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": order,
        "title": f"{text.button}: order {short_id(order.pk)}",
        "text": text,
        "is_irreversible": kind == ActionKind.CANCEL,
        "order": order,
        "current_state": state.summary(),
        "blocked_reason": blocked_reason(kind, state, operator_of(request)),
        "form": form,
        "back_url": reverse("admin:orders_order_change", args=[order.pk]),
    }
    return TemplateResponse(request, "desk/orders/confirm.html", context, status=status)
