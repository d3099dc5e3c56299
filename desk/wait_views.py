"""The pages on which staff extend the deadline of a waiting order, or send it a signal.

A GET shows the form; a POST acts.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

import payments.services
from adminkit.cells import short_id
from clock.now import now
from desk import permissions
from desk.action_forms import ACTION_TEXTS, ActionText, ReasonForm, empty_form, operator_of
from desk.actions import ActionRequest, TokenReused
from desk.models import ActionKind, ActionOutcome, OperatorAction
from desk.order_state import OrderState, order_state
from desk.wait_actions import extend, extend_blocked, send_signal, signal_blocked
from orders.models import Order
from sagas.errors import InvalidSignal
from sagas.signal_types import Signal
from sagas.signals import declared_signals

PREFIX: Final = "payload"
"""Keeps the fields of a signal apart from those of the reason's form."""

MAX_HOURS: Final = 24 * 365

AFTER_AUTHORIZATION: Final = (
    "Most banks release the money then: it can no longer be taken, and the order is cancelled."
)


class ExtendForm(forms.Form):
    """How much longer the order waits, from now, and for what."""

    amount = forms.IntegerField(min_value=1, max_value=MAX_HOURS, label="How long from now")
    unit = forms.ChoiceField(choices=[("hours", "hours"), ("days", "days")], label="In")
    beyond = forms.BooleanField(required=False, label="Wait longer than the payment is authorized")
    waits_for = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, authorized_until: datetime | None, *args: Any, **kwargs: Any) -> None:
        """``authorized_until`` is when the authorization of the order's payment ends, if it is known."""
        super().__init__(*args, **kwargs)
        self._authorized_until = authorized_until
        if authorized_until is None:
            del self.fields["beyond"]
        else:
            self.fields["amount"].help_text = f"{self._authorization} {AFTER_AUTHORIZATION}"

    @property
    def _authorization(self) -> str:
        return f"The payment is authorized until {self._authorized_until:%Y-%m-%d %H:%M} UTC."

    def clean(self) -> dict[str, Any]:
        """Refuse more than MAX_HOURS, and more than the authorization lasts unless it is ticked."""
        cleaned = super().clean() or {}
        if cleaned.get("unit") == "days" and cleaned.get("amount", 0) > MAX_HOURS // 24:
            self.add_error("amount", f"At most {MAX_HOURS // 24} days.")
        if self.errors or self._authorized_until is None or cleaned["beyond"]:
            return cleaned
        if now() + self.time > self._authorized_until:
            instead = "Choose a shorter time, or tick the box below."
            self.add_error("amount", f"{self._authorization} {instead}")
        return cleaned

    @property
    def time(self) -> timedelta:
        """The time that a valid form gives."""
        return timedelta(**{self.cleaned_data["unit"]: self.cleaned_data["amount"]})


def extend_view(
    model_admin: ModelAdmin[Order], request: HttpRequest, order_id: UUID
) -> HttpResponse:
    """Show the form (GET), or extend the deadline and redirect to the order (POST).

    Raises PermissionDenied, and Http404 for an unknown order.
    """
    state = _state_for(model_admin, request, order_id, permissions.EXTEND)
    wait = state.live.wait if state.live else None
    text = ACTION_TEXTS[ActionKind.EXTEND]
    page = _Page(model_admin, request, state, ActionKind.EXTEND, text)
    page.blocked_reason = extend_blocked(state)
    authorized_until = payments.services.authorized_until(order_id)
    if request.method != "POST":
        shown = {"amount": 24, "unit": "hours", "waits_for": wait.code if wait else ""}
        form = ExtendForm(authorized_until, initial=shown, prefix=PREFIX)
        return page.response(empty_form(), form)
    form = ExtendForm(authorized_until, request.POST, prefix=PREFIX)
    return page.submitted(
        form, lambda action: extend(action, form.cleaned_data["waits_for"], form.time)
    )


def signal_view(
    model_admin: ModelAdmin[Order], request: HttpRequest, order_id: UUID, name: str
) -> HttpResponse:
    """Show the form of a signal (GET), or send it and redirect to the order (POST).

    Raises PermissionDenied, and Http404 for an unknown order or signal.
    """
    state = _state_for(model_admin, request, order_id, permissions.SIGNAL)
    signal = _declared(state, name)
    button = ActionText(
        f"Send {name}", f"{signal.description} {ACTION_TEXTS[ActionKind.SIGNAL].explanation}"
    )
    page = _Page(model_admin, request, state, ActionKind.SIGNAL, button)
    page.blocked_reason = signal_blocked(state, name)
    if request.method != "POST":
        return page.response(empty_form(), signal.schema(prefix=PREFIX))
    form = signal.schema(request.POST, prefix=PREFIX)
    return page.submitted(form, lambda action: send_signal(action, name, _payload(form)))


def _state_for(
    model_admin: ModelAdmin[Order], request: HttpRequest, order_id: UUID, permission: str
) -> OrderState:
    if not (model_admin.has_view_permission(request) and operator_of(request).has_perm(permission)):
        raise PermissionDenied
    try:
        return order_state(order_id)
    except Order.DoesNotExist:
        raise Http404 from None


def _declared(state: OrderState, name: str) -> Signal:
    """Return the signal that a saga of the order declares, allowed now or not. Raises Http404."""
    for signal in declared_signals(state.order.pk):
        if signal.name == name:
            return signal
    raise Http404


def _payload(form: forms.Form) -> dict[str, Any]:
    """Return what was filled in, as JSON; fields that were left empty are left out."""
    filled = {
        name: value for name, value in form.cleaned_data.items() if value not in (None, "", [])
    }
    payload: dict[str, Any] = json.loads(json.dumps(filled, cls=DjangoJSONEncoder))
    return payload


class _Page:
    """The page of one action on a waiting order, for one request."""

    def __init__(
        self,
        model_admin: ModelAdmin[Order],
        request: HttpRequest,
        state: OrderState,
        kind: ActionKind,
        text: ActionText,
    ) -> None:
        self._model_admin = model_admin
        self._request = request
        self._state = state
        self._kind = kind
        self._text = text
        self.blocked_reason = ""

    @property
    def _order_url(self) -> str:
        return reverse("admin:orders_order_change", args=[self._state.order.pk])

    def submitted(
        self, payload_form: forms.Form, act: Callable[[ActionRequest], OperatorAction]
    ) -> HttpResponse:
        """Act with a valid form and redirect to the order; show the form again otherwise."""
        form = ReasonForm(self._request.POST)
        if not (form.is_valid() & payload_form.is_valid()):
            return self.response(form, payload_form, HTTPStatus.BAD_REQUEST)
        action = ActionRequest(
            self._kind,
            self._state.order.pk,
            operator_of(self._request),
            form.cleaned_data["reason"],
            form.cleaned_data["token"],
        )
        try:
            row = act(action)
        except InvalidSignal as error:
            payload_form.add_error(None, str(error))
            return self.response(form, payload_form, HTTPStatus.BAD_REQUEST)
        except TokenReused:
            form.add_error(None, "This form was used for another action. Open it again.")
            return self.response(form, payload_form, HTTPStatus.CONFLICT)
        except OperationalError:
            form.add_error(None, "A worker has locked the order. Nothing was changed; try again.")
            return self.response(form, payload_form, HTTPStatus.CONFLICT)
        was_done = row.outcome == ActionOutcome.DONE
        level = messages.SUCCESS if was_done else messages.WARNING
        refused = "" if was_done else " was refused"
        messages.add_message(self._request, level, f"{self._text.button}{refused}: {row.message}")
        return HttpResponseRedirect(self._order_url)

    def response(
        self, form: ReasonForm, payload_form: forms.Form, status: HTTPStatus = HTTPStatus.OK
    ) -> HttpResponse:
        order = self._state.order
        context: dict[str, Any] = {
            **self._model_admin.admin_site.each_context(self._request),
            "opts": self._model_admin.opts,
            "original": order,
            "title": f"{self._text.button}: order {short_id(order.pk)}",
            "text": self._text,
            "order": order,
            "current_state": self._state.summary(),
            "blocked_reason": self.blocked_reason,
            "form": form,
            "payload_form": payload_form,
            "back_url": self._order_url,
        }
        return TemplateResponse(self._request, "desk/orders/confirm.html", context, status=status)
