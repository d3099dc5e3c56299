"""Asking before many orders are acted on, and showing how far it has come."""

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
from desk.action_forms import WORDS, ReasonForm, may_ever, operator_of
from desk.action_views import kind_named
from desk.actions import TokenTaken
from desk.bulk import MOST_ORDERS, begin, counts, stop
from desk.models import ActionKind, BulkAction, BulkItem, ItemOutcome
from desk.order_list import described
from orders.models import Order
from sagas.identifiers import new_id

MOST_SHOWN: Final = 200
"""Of the orders that were refused or failed, on the progress page."""

LIST: Final = "admin:orders_order_changelist"


class BulkForm(ReasonForm):
    """Why, for how many at most: those that came to match after the page was shown are asked about."""

    counted = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The orders that an act is asked for: those that were ticked, or all that a list shows."""

    ids: Sequence[UUID]
    are_ticked: bool
    in_words: str

    @property
    def are_too_many(self) -> bool:
        return len(self.ids) > MOST_ORDERS

    @property
    def number(self) -> str:
        return f"more than {MOST_ORDERS:,}" if self.are_too_many else f"{len(self.ids):,}"


def ask_about_ticked(
    kind: ActionKind,
    model_admin: ModelAdmin[Order],
    request: HttpRequest,
    _: QuerySet[Order],
) -> HttpResponse:
    """Ask about the orders that were ticked in the list; nothing is done yet."""
    _check(model_admin, request, kind)
    chosen = _ticked(request.POST.getlist("_selected_action"))
    return _ask(model_admin, request, kind, chosen, _empty_form(chosen))


def ask(model_admin: ModelAdmin[Order], request: HttpRequest, kind: str) -> HttpResponse:
    """Ask about all orders that the list shows; once it is confirmed, begin."""
    wanted = kind_named(kind)
    _check(model_admin, request, wanted)
    ticked = request.POST.getlist("order")
    try:
        chosen = _ticked(ticked) if ticked else _all_shown(model_admin, request)
    except IncorrectLookupParameters:
        raise Http404 from None
    if request.method != "POST":
        return _ask(model_admin, request, wanted, chosen, _empty_form(chosen))
    form = BulkForm(request.POST)
    if form.is_valid() and len(chosen.ids) > form.cleaned_data["counted"]:
        form = _empty_form(chosen, reason=form.cleaned_data["reason"])
        told = "More orders match by now. Look at the number, and confirm again."
        messages.warning(request, told)
        return _ask(model_admin, request, wanted, chosen, form, status=HTTPStatus.CONFLICT)
    if not form.is_valid() or not chosen.ids:
        return _ask(model_admin, request, wanted, chosen, form, status=HTTPStatus.BAD_REQUEST)
    return _begin(request, wanted, chosen, form)


def _begin(
    request: HttpRequest, kind: ActionKind, chosen: Chosen, form: ReasonForm
) -> HttpResponse:
    try:
        bulk = begin(
            kind,
            operator_of(request),
            chosen.ids[:MOST_ORDERS],
            reason=form.cleaned_data["reason"],
            chosen_by=chosen.in_words,
            token=form.cleaned_data["token"],
        )
    except TokenTaken:
        messages.error(request, "This form was used for something else. Open it anew.")
        return HttpResponseRedirect(reverse(LIST))
    return HttpResponseRedirect(reverse("admin:desk_bulkaction_change", args=[bulk.pk]))


def page(
    model_admin: ModelAdmin[BulkAction], request: HttpRequest, bulk: BulkAction
) -> HttpResponse:
    """Show how far a bulk action has come, and what was refused."""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": f"{WORDS[ActionKind(bulk.kind)].button}: {bulk.count:,} orders",
        "bulk": bulk,
        "progress": progress_of(bulk),
        "most_shown": MOST_SHOWN,
        "may_stop": _may_stop(request, bulk),
    }
    return TemplateResponse(request, "desk/bulk/progress.html", context)


def progress(model_admin: ModelAdmin[BulkAction], request: HttpRequest, pk: UUID) -> HttpResponse:
    """The same, for the page to follow."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    bulk = BulkAction.objects.filter(pk=pk).first()
    if bulk is None:
        raise Http404
    return JsonResponse(progress_of(bulk))


def stop_it(model_admin: ModelAdmin[BulkAction], request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have nothing further done. A GET changes nothing."""
    if request.method != "POST":
        return HttpResponse(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
    bulk = BulkAction.objects.filter(pk=pk).first()
    if bulk is None:
        raise Http404
    if not (model_admin.has_view_permission(request) and _may_stop(request, bulk)):
        raise PermissionDenied
    if stop(pk, operator_of(request).get_username()):
        messages.success(request, "Nothing further is done. What was done stays.")
    else:
        messages.info(request, "It had ended, or was stopped already.")
    return HttpResponseRedirect(reverse("admin:desk_bulkaction_change", args=[pk]))


def progress_of(bulk: BulkAction) -> dict[str, Any]:
    """Where it is: numbers by outcome, and the newest orders that were not acted on, with why."""
    not_done = bulk.items.filter(outcome__in=(ItemOutcome.REFUSED, ItemOutcome.FAILED))
    shown: list[BulkItem] = list(not_done.order_by("-pk")[:MOST_SHOWN])
    numbers = counts(bulk)
    return {
        "counts": numbers,
        "done_with": bulk.count - numbers[ItemOutcome.WAITING],
        "count": bulk.count,
        "state": _state(bulk),
        "has_ended": bulk.ended_at is not None,
        "not_done": [
            {
                "order": str(each.order_id),
                "url": reverse("admin:orders_order_change", args=[each.order_id]),
                "outcome": each.outcome,
                "told": each.told,
            }
            for each in shown
        ],
    }


def _state(bulk: BulkAction) -> str:
    if bulk.stopped_at is not None:
        return f"stopped by {bulk.stopped_by}"
    if bulk.ended_at is not None:
        return "finished"
    return "under way" if bulk.carried_until else "waiting for a worker"


def _may_stop(request: HttpRequest, bulk: BulkAction) -> bool:
    may_act = request.user.has_perm(permissions.ACT_IN_BULK)
    return may_act and may_ever(operator_of(request), ActionKind(bulk.kind))


def _check(model_admin: ModelAdmin[Order], request: HttpRequest, kind: ActionKind) -> None:
    operator = operator_of(request)
    may_act = operator.has_perm(permissions.ACT_IN_BULK) and may_ever(operator, kind)
    if not (model_admin.has_view_permission(request) and may_act):
        raise PermissionDenied


def _ticked(texts: Sequence[str]) -> Chosen:
    ids = []
    for each in texts[:MOST_ORDERS]:
        try:
            ids.append(UUID(each))
        except ValueError:
            raise Http404 from None
    found = list(Order.objects.filter(pk__in=ids).order_by("-pk").values_list("pk", flat=True))
    return Chosen(found, are_ticked=True, in_words=f"{len(found)} orders ticked in the list")


def _all_shown(model_admin: ModelAdmin[Order], request: HttpRequest) -> Chosen:
    narrowed = model_admin.get_changelist_instance(request)
    ids = narrowed.queryset.order_by("-pk").values_list("pk", flat=True)
    return Chosen(list(ids[: MOST_ORDERS + 1]), are_ticked=False, in_words=described(narrowed))


def _empty_form(chosen: Chosen, reason: str = "") -> BulkForm:
    return BulkForm(initial={"token": new_id(), "counted": len(chosen.ids), "reason": reason})


def _ask(
    model_admin: ModelAdmin[Order],
    request: HttpRequest,
    kind: ActionKind,
    chosen: Chosen,
    form: BulkForm,
    *,
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    words, query = WORDS[kind], request.GET.urlencode()
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": f"{words.button}: {chosen.number} orders",
        "words": words,
        "is_final": kind == ActionKind.CANCEL,
        "chosen": chosen,
        "most_orders": MOST_ORDERS,
        "ticked": chosen.ids if chosen.are_ticked else (),
        "form": form,
        "address": f"{reverse('admin:orders_order_in_bulk', args=[kind.value])}?{query}",
        "back": f"{reverse(LIST)}?{query}",
    }
    return TemplateResponse(request, "desk/bulk/confirm.html", context, status=status)
