"""What Django answers with where no view of the API had a say: problems, or pages for browsers."""

import sys

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string

from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import CONTENT_TYPE, Problem, internal_error, problem_of


def raised(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer for what Django counts as the client's doing: it is a 400, 403 or 404."""
    return respond(request, problem_of(exception) or internal_error())


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer for what was raised anywhere: Django calls this while the error is being handled."""
    return respond(request, problem_of(sys.exception()) or internal_error())


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponseBase:  # noqa: ARG001 - Django's signature
    detail = "This form was not given out for you, or not lately. Load its page again."
    return respond(request, Problem(ProblemType.FORM_EXPIRED, detail))


def respond(request: HttpRequest, problem: Problem) -> HttpResponseBase:
    """Answer with a problem; a browser that came for a page outside the API gets one."""
    if _is_for_a_reader(request):
        page = render_to_string("problems/answer.html", {"kind": problem.kind, **problem.body()})
        return HttpResponse(page, status=problem.kind.status, headers=problem.headers)
    return JsonResponse(
        problem.body(),
        status=problem.kind.status,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )


def _is_for_a_reader(request: HttpRequest) -> bool:
    if request.path_info.startswith("/api/"):
        return False
    return request.get_preferred_type([CONTENT_TYPE, "text/html"]) == "text/html"
