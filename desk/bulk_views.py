"""The pages of bulk actions: confirmation, progress, stop."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from desk import permissions
from desk.action_forms import ACTION_TEXTS, ReasonForm, has_permission_for_some_order, operator_of
from desk.action_views import kind_named
from desk.actions import TokenReused
from desk.bulk import MAX_ORDERS, counts, create_bulk_action, stop
from desk.models import ActionKind, BulkAction, BulkItem, ItemOutcome
from desk.order_list import describe_filters
from orders.models import Order
from sagas.identifiers import new_id

MAX_SHOWN: Final = 200
"""How many refused or failed orders the progress page lists at most."""

LIST: Final = "admin:orders_order_changelist"


class BulkForm(ReasonForm):
    """A reason, and the number of orders that staff saw. If more match now, they confirm again."""

    counted = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


@dataclass(frozen=True, slots=True)
class Selection:
    """The orders of a bulk action: the ticked ones, or all that the list shows.

    ``ids`` has at most one id more than MAX_ORDERS.
    """

    ids: Sequence[UUID]
    is_ticked: bool
    description: str

    @property
    def is_too_large(self) -> bool:
        return len(self.ids) > MAX_ORDERS

    @property
    def count_text(self) -> str:
        return f"more than {MAX_ORDERS:,}" if self.is_too_large else f"{len(self.ids):,}"


def confirm_ticked(
    kind: ActionKind,
    model_admin: ModelAdmin[Order],
    request: HttpRequest,
    _: QuerySet[Order],
) -> HttpResponse:
    """Show the confirmation page for the ticked orders. Changes nothing."""
    _require_permission(model_admin, request, kind)
    selection = _ticked(request.POST.getlist("_selected_action"))
    return _confirmation_page(model_admin, request, kind, selection, _empty_form(selection))


def confirm(model_admin: ModelAdmin[Order], request: HttpRequest, kind: str) -> HttpResponse:
    """Show the confirmation page (GET), or create the bulk action and redirect to it (POST).

    Raises Http404 for an unknown action or filter, and PermissionDenied.
    """
    action_kind = kind_named(kind)
    _require_permission(model_admin, request, action_kind)
    ticked = request.POST.getlist("order")
    try:
        selection = _ticked(ticked) if ticked else _all_shown(model_admin, request)
    except IncorrectLookupParameters:
        raise Http404 from None
    if request.method != "POST":
        return _confirmation_page(
            model_admin, request, action_kind, selection, _empty_form(selection)
        )
    form = BulkForm(request.POST)
    if form.is_valid() and len(selection.ids) > form.cleaned_data["counted"]:
        form = _empty_form(selection, reason=form.cleaned_data["reason"])
        message = "More orders match now. Check the number, and confirm again."
        messages.warning(request, message)
        return _confirmation_page(
            model_admin, request, action_kind, selection, form, status=HTTPStatus.CONFLICT
        )
    if not form.is_valid() or not selection.ids:
        return _confirmation_page(
            model_admin, request, action_kind, selection, form, status=HTTPStatus.BAD_REQUEST
        )
    return _create(request, action_kind, selection, form)


def _create(
    request: HttpRequest, kind: ActionKind, selection: Selection, form: ReasonForm
) -> HttpResponse:
    try:
        bulk = create_bulk_action(
            kind,
            operator_of(request),
            selection.ids[:MAX_ORDERS],
            reason=form.cleaned_data["reason"],
            selection=selection.description,
            token=form.cleaned_data["token"],
        )
    except TokenReused:
        messages.error(request, "This form was used for another action. Open it again.")
        return HttpResponseRedirect(reverse(LIST))
    return HttpResponseRedirect(reverse("admin:desk_bulkaction_change", args=[bulk.pk]))


def progress_page(
    model_admin: ModelAdmin[BulkAction], request: HttpRequest, bulk: BulkAction
) -> HttpResponse:
    """Show the progress of a bulk action, and the orders that were not done."""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": f"{ACTION_TEXTS[ActionKind(bulk.kind)].button}: {bulk.count:,} orders",
        "bulk": bulk,
        "progress": progress_data(bulk),
        "max_shown": MAX_SHOWN,
        "may_stop": _may_stop(request, bulk),
    }
    return TemplateResponse(request, "desk/bulk/progress.html", context)


def progress_json(
    model_admin: ModelAdmin[BulkAction], request: HttpRequest, pk: UUID
) -> HttpResponse:
    """Return the progress as JSON; the page polls it."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    bulk = BulkAction.objects.filter(pk=pk).first()
    if bulk is None:
        raise Http404
    return JsonResponse(progress_data(bulk))


def stop_bulk_action(
    model_admin: ModelAdmin[BulkAction], request: HttpRequest, pk: UUID
) -> HttpResponse:
    """Stop a bulk action after its current order. Only POST is allowed."""
    if request.method != "POST":
        return HttpResponse(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
    bulk = BulkAction.objects.filter(pk=pk).first()
    if bulk is None:
        raise Http404
    if not (model_admin.has_view_permission(request) and _may_stop(request, bulk)):
        raise PermissionDenied
    if stop(pk, operator_of(request).get_username()):
        messages.success(
            request, "Stopped. No further order is processed; finished orders are not reversed."
        )
    else:
        messages.info(request, "The bulk action has already ended or been stopped.")
    return HttpResponseRedirect(reverse("admin:desk_bulkaction_change", args=[pk]))


def progress_data(bulk: BulkAction) -> dict[str, Any]:
    """Return the counts by outcome, and the newest items that were refused or failed."""
    not_done = bulk.items.filter(outcome__in=(ItemOutcome.REFUSED, ItemOutcome.FAILED))
    shown: list[BulkItem] = list(not_done.order_by("-pk")[:MAX_SHOWN])
    count_by_outcome = counts(bulk)
    return {
        "counts": count_by_outcome,
        "processed": bulk.count - count_by_outcome[ItemOutcome.WAITING],
        "count": bulk.count,
        "state": _state(bulk),
        "has_ended": bulk.ended_at is not None,
        "not_done": [
            {
                "order": str(item.order_id),
                "url": reverse("admin:orders_order_change", args=[item.order_id]),
                "outcome": item.outcome,
                "message": item.message,
            }
            for item in shown
        ],
    }


def _state(bulk: BulkAction) -> str:
    if bulk.stopped_at is not None:
        return f"stopped by {bulk.stopped_by}"
    if bulk.ended_at is not None:
        return "finished"
    return "in progress" if bulk.leased_until else "waiting for a worker"


def _may_stop(request: HttpRequest, bulk: BulkAction) -> bool:
    may_act = request.user.has_perm(permissions.ACT_IN_BULK)
    return may_act and has_permission_for_some_order(operator_of(request), ActionKind(bulk.kind))


def _require_permission(
    model_admin: ModelAdmin[Order], request: HttpRequest, kind: ActionKind
) -> None:
    operator = operator_of(request)
    may_act = operator.has_perm(permissions.ACT_IN_BULK) and has_permission_for_some_order(
        operator, kind
    )
    if not (model_admin.has_view_permission(request) and may_act):
        raise PermissionDenied


def _ticked(texts: Sequence[str]) -> Selection:
    ids = []
    for text in texts[:MAX_ORDERS]:
        try:
            ids.append(UUID(text))
        except ValueError:
            raise Http404 from None
    found = list(Order.objects.filter(pk__in=ids).order_by("-pk").values_list("pk", flat=True))
    return Selection(found, is_ticked=True, description=f"{len(found)} orders ticked in the list")


def _all_shown(model_admin: ModelAdmin[Order], request: HttpRequest) -> Selection:
    changelist = model_admin.get_changelist_instance(request)
    ids = changelist.queryset.order_by("-pk").values_list("pk", flat=True)
    return Selection(
        list(ids[: MAX_ORDERS + 1]), is_ticked=False, description=describe_filters(changelist)
    )


def _empty_form(selection: Selection, reason: str = "") -> BulkForm:
    return BulkForm(initial={"token": new_id(), "counted": len(selection.ids), "reason": reason})


def _confirmation_page(
    model_admin: ModelAdmin[Order],
    request: HttpRequest,
    kind: ActionKind,
    selection: Selection,
    form: BulkForm,
    *,
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    text, query = ACTION_TEXTS[kind], request.GET.urlencode()
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": f"{text.button}: {selection.count_text} orders",
        "text": text,
        "is_irreversible": kind == ActionKind.CANCEL,
        "selection": selection,
        "max_orders": MAX_ORDERS,
        "ticked": selection.ids if selection.is_ticked else (),
        "form": form,
        "form_url": f"{reverse('admin:orders_order_in_bulk', args=[kind.value])}?{query}",
        "back_url": f"{reverse(LIST)}?{query}",
    }
    return TemplateResponse(request, "desk/bulk/confirm.html", context, status=status)
