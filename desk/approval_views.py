"""The confirmation page of a decision about an approval. A GET shows it; a POST decides."""

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

import approvals.services
from adminkit.cells import short_id
from approvals.models import Approval
from approvals.states import Decision, DefaultAction
from clock.now import now
from desk import permissions
from desk.action_forms import ACTION_TEXTS, ReasonForm, empty_form, operator_of
from desk.actions import ActionRequest, TokenReused
from desk.approval_actions import DEFAULT_TEXTS, KIND_OF, decide, decided_before
from desk.models import ActionOutcome
from desk.order_state import OrderState, order_state
from orders.descriptions import describe_order, payment_warning
from orders.models import Order


def decision_view(
    model_admin: ModelAdmin[Approval], request: HttpRequest, approval_id: UUID, decision: str
) -> HttpResponse:
    """Show the confirmation page (GET), or decide and redirect to the approval (POST).

    Raises PermissionDenied, and Http404 for an unknown approval, order or decision.
    """
    if not (model_admin.has_view_permission(request) and may_decide(request)):
        raise PermissionDenied
    if decision not in Decision.values:
        raise Http404
    chosen = Decision(decision)
    try:
        approval = approvals.services.peek(approval_id)
        state = order_state(approval.subject_id)
    except (Approval.DoesNotExist, Order.DoesNotExist):
        raise Http404 from None
    page = _ConfirmationPage(model_admin, request, approval, state, chosen)
    if request.method != "POST":
        return page.response(empty_form())
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return page.response(form, HTTPStatus.BAD_REQUEST)
    return page.decide(form)


def may_decide(request: HttpRequest) -> bool:
    return operator_of(request).has_perm(permissions.DECIDE)


class _ConfirmationPage:
    """The page of one decision about one approval, for one request."""

    def __init__(
        self,
        model_admin: ModelAdmin[Approval],
        request: HttpRequest,
        approval: Approval,
        state: OrderState,
        decision: Decision,
    ) -> None:
        self._model_admin = model_admin
        self._request = request
        self._approval = approval
        self._state = state
        self._kind = KIND_OF[decision]

    @property
    def _approval_url(self) -> str:
        return reverse("admin:approvals_approval_change", args=[self._approval.pk])

    def decide(self, form: ReasonForm) -> HttpResponse:
        action = ActionRequest(
            self._kind,
            self._approval.subject_id,
            operator_of(self._request),
            form.cleaned_data["reason"],
            form.cleaned_data["token"],
        )
        try:
            row = decide(self._approval.pk, action)
        except TokenReused:
            form.add_error(None, "This form was used for another action. Open it again.")
            return self.response(form, HTTPStatus.CONFLICT)
        except OperationalError:
            form.add_error(None, "A worker has locked the order. Nothing was changed; try again.")
            return self.response(form, HTTPStatus.CONFLICT)
        was_done = row.outcome == ActionOutcome.DONE
        level = messages.SUCCESS if was_done else messages.WARNING
        label = ACTION_TEXTS[self._kind].button
        refused = "" if was_done else " was refused"
        messages.add_message(self._request, level, f"{label}{refused}: {row.message}")
        return HttpResponseRedirect(self._approval_url)

    def response(self, form: ReasonForm, status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
        text = ACTION_TEXTS[self._kind]
        context: dict[str, Any] = {
            **self._model_admin.admin_site.each_context(self._request),
            "opts": self._model_admin.opts,
            "original": self._approval,
            "title": f"{text.button}: {self._approval.label}, order {short_id(self._state.order.pk)}",
            "text": text,
            "approval": self._approval,
            "order": describe_order(self._state.order.pk),
            "default_text": DEFAULT_TEXTS[DefaultAction(self._approval.default)],
            "is_past_deadline": self._approval.is_open and self._approval.deadline <= now(),
            "order_url": reverse("admin:orders_order_change", args=[self._state.order.pk]),
            "current_state": self._state.summary(),
            "payment_warning": payment_warning(self._approval.subject_id),
            "blocked_reason": decided_before(self._approval),
            "form": form,
            "back_url": self._approval_url,
        }
        return TemplateResponse(
            self._request, "desk/approvals/confirm.html", context, status=status
        )
