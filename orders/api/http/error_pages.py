"""Django's error handlers: problems for programs, pages for browsers outside the API."""

import sys

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string

from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import CONTENT_TYPE, Problem, internal_error, problem_from


def client_error(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer an exception that Django treats as a 400, 403 or 404."""
    return problem_response(request, problem_from(exception) or internal_error())


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer any other exception: Django calls this while it handles the exception."""
    return problem_response(request, problem_from(sys.exception()) or internal_error())


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:  # noqa: ARG001 - Django's signature
    """Answer a form whose CSRF check failed."""
    detail = "This form is too old, or comes from another site. Load its page again."
    return problem_response(request, Problem(ProblemType.FORM_EXPIRED, detail))


def problem_response(request: HttpRequest, problem: Problem) -> HttpResponseBase:
    """Return a problem as JSON, or as a page to a browser outside the API."""
    if _prefers_page(request):
        page = render_to_string(
            "problems/error.html", {"problem_type": problem.type, **problem.body()}
        )
        return HttpResponse(page, status=problem.type.status, headers=problem.headers)
    return JsonResponse(
        problem.body(),
        status=problem.type.status,
        headers=problem.headers,
        content_type=CONTENT_TYPE,
    )


def is_api_request(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _prefers_page(request: HttpRequest) -> bool:
    if is_api_request(request):
        return False
    return request.get_preferred_type([CONTENT_TYPE, "text/html"]) == "text/html"
