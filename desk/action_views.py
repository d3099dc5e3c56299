"""Asking before an order is acted on, and acting once it is confirmed. A GET changes nothing."""

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
from desk.action_forms import WORDS, ReasonForm, empty_form, may, may_ever, operator_of
from desk.actions import OF_ONE_ORDER, Asked, TokenTaken, perform
from desk.models import ActionKind, ActionOutcome
from desk.order_state import OrderState, blocked_reason, order_state
from orders.models import Order


def act(
    model_admin: ModelAdmin[Order], request: HttpRequest, order_id: UUID, kind: str
) -> HttpResponse:
    """Ask for a reason; with one, act, and go back to the order with what came of it."""
    wanted = kind_named(kind)
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        state = order_state(order_id)
    except Order.DoesNotExist:
        raise Http404 from None
    operator = operator_of(request)
    if not (may(operator, wanted, state) or may_ever(operator, wanted)):
        raise PermissionDenied
    if request.method != "POST":
        return _ask(model_admin, request, state, wanted, empty_form())
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _ask(model_admin, request, state, wanted, form, status=HTTPStatus.BAD_REQUEST)
    asked = Asked(
        wanted, order_id, operator, form.cleaned_data["reason"], form.cleaned_data["token"]
    )
    return _perform(model_admin, request, state, asked, form)


def kind_named(name: str) -> ActionKind:
    """Return the act that an address names. Raises Http404."""
    found = next((each for each in OF_ONE_ORDER if each.value == name), None)
    if found is None:
        raise Http404
    return found


def _perform(
    model_admin: ModelAdmin[Order],
    request: HttpRequest,
    state: OrderState,
    asked: Asked,
    form: ReasonForm,
) -> HttpResponse:
    try:
        done = perform(asked)
    except TokenTaken:
        form.add_error(None, "This form was used for something else. Open it anew.")
        return _ask(model_admin, request, state, asked.kind, form, status=HTTPStatus.CONFLICT)
    except OperationalError:
        form.add_error(None, "The order is being worked on. Nothing was changed; try again.")
        return _ask(model_admin, request, state, asked.kind, form, status=HTTPStatus.CONFLICT)
    was_done = done.outcome == ActionOutcome.DONE
    level = messages.SUCCESS if was_done else messages.WARNING
    label = WORDS[asked.kind].button
    told = f"{label}: {done.told}" if was_done else f"{label} was refused: {done.told}"
    messages.add_message(request, level, told)
    return HttpResponseRedirect(reverse("admin:orders_order_change", args=[asked.order_id]))


def _ask(
    model_admin: ModelAdmin[Order],
    request: HttpRequest,
    state: OrderState,
    kind: ActionKind,
    form: ReasonForm,
    *,
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    order, words = state.order, WORDS[kind]
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": order,
        "title": f"{words.button}: order {short_id(order.pk)}",
        "words": words,
        "is_final": kind == ActionKind.CANCEL,
        "order": order,
        "stands": state.in_words(),
        "blocked_reason": blocked_reason(kind, state, operator_of(request)),
        "form": form,
        "back": reverse("admin:orders_order_change", args=[order.pk]),
    }
    return TemplateResponse(request, "desk/orders/confirm.html", context, status=status)
