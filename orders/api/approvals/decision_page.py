"""The page of a decision link: its holder reads about the order, and approves or rejects.

A GET decides nothing, because mail programs and chat programs open links by themselves. The link is
the only credential, so the form needs no CSRF token: a page that knows the address could also
send the form itself.
"""

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from access.errors import TooManyRequests
from access.throttling import count_anonymous
from approvals import models, services
from approvals.links import DecisionLink, read_link
from approvals.states import DecidedVia, Decision
from clock.now import now
from orders.api.http.error_pages import client_error, problem_response
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem
from orders.descriptions import describe_order, payment_warning

NOTED_DIFFERENCE: Final = timedelta(minutes=1)
"""Links expire by the real time. From this difference to the clock of orders the page names both."""


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(choices=Decision)
    comment = forms.CharField(
        required=False,
        max_length=models.COMMENT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


@csrf_exempt
def decision_page(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show the approval of a link (GET), or decide it (POST).

    Raises Http404 for a forged, an expired and a revoked link alike.
    """
    try:
        count_anonymous(request)
    except TooManyRequests as error:
        return client_error(request, error)
    match request.method:
        case "GET" | "HEAD":
            response = _show(request, *_link_and_approval(token))
        case "POST":
            response = _decide(request, token)
        case _:
            return _method_not_allowed(request)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _link_and_approval(token: str) -> tuple[DecisionLink, models.Approval]:
    """Return a link and its approval. Raises Http404 for one that is not valid."""
    found = read_link(token)
    if found is None:
        raise Http404
    return found


def _decide(request: HttpRequest, token: str) -> HttpResponse:
    link, approval = _link_and_approval(token)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _show(request, link, approval, form, status=HTTPStatus.BAD_REQUEST)
    decision = Decision(form.cleaned_data["decision"])
    decided = services.decide(
        approval.pk,
        decision,
        actor=link.actor,
        via=DecidedVia.LINK,
        comment=form.cleaned_data["comment"],
    )
    if not decided.approval.agrees_with(decision):
        return _show(request, link, decided.approval, status=HTTPStatus.CONFLICT)
    # After a redirect, reloading the page does not send the form again.
    return HttpResponseRedirect(request.get_full_path(), status=HTTPStatus.SEE_OTHER)


def _show(
    request: HttpRequest,
    link: DecisionLink,
    approval: models.Approval,
    form: DecisionForm | None = None,
    *,
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    time_of_orders = now()
    has_moved = abs(time_of_orders - timezone.now()) > NOTED_DIFFERENCE
    context = {
        "approval": approval,
        "order": describe_order(approval.subject_id),
        "payment_warning": payment_warning(approval.subject_id),
        "link": link,
        "is_past_deadline": approval.deadline <= time_of_orders,
        "moved_time": time_of_orders if has_moved else None,
        "form": form or DecisionForm(),
        "decisions": list(Decision),
        "is_too_late": status == HTTPStatus.CONFLICT,
    }
    return render(request, "approvals/decision.html", context, status=status)


def _method_not_allowed(request: HttpRequest) -> HttpResponseBase:
    problem = Problem(
        ProblemType.METHOD_NOT_ALLOWED,
        "This page supports GET, HEAD and POST only.",
        headers={"Allow": "GET, HEAD, POST"},
    )
    return problem_response(request, problem)
