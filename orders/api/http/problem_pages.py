"""Pages below ``/problems/``: where the ``type`` of each problem leads."""

from collections.abc import Callable
from functools import wraps

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from orders.api.http.error_pages import problem_response
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem


def read_only(page: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Allow GET and HEAD only. Django's ``require_safe`` answers 405 without a problem."""

    @csrf_exempt  # a POST gets the 405 below, not a CSRF error
    @wraps(page)
    def view(request: HttpRequest, **kwargs: str) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            return page(request, **kwargs)
        problem = Problem(
            ProblemType.METHOD_NOT_ALLOWED,
            "This page supports GET and HEAD only.",
            headers={"Allow": "GET, HEAD"},
        )
        return problem_response(request, problem)

    return view


@read_only
def problem_list(request: HttpRequest) -> HttpResponse:
    return render(request, "problems/list.html", {"problem_types": list(ProblemType)})


@read_only
def problem_detail(request: HttpRequest, slug: str) -> HttpResponse:
    found = next((candidate for candidate in ProblemType if candidate.slug == slug), None)
    if found is None:
        raise Http404
    return render(request, "problems/detail.html", {"problem_type": found})


urlpatterns = [
    path("", problem_list, name="problems"),
    path("<slug:slug>", problem_detail, name="problem"),
]
