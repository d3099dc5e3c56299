"""The pages to which the ``type`` of a problem leads."""

from collections.abc import Callable
from functools import wraps

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from orders.api.http.error_pages import respond
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import Problem


def only_read(page: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Refuse every method but GET and HEAD, as a problem."""

    @csrf_exempt  # which forms are taken is no question where none is
    @wraps(page)
    def read(request: HttpRequest, **place: str) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            return page(request, **place)
        refusal = Problem(
            ProblemType.METHOD_NOT_ALLOWED,
            "A page can only be read.",
            headers={"Allow": "GET, HEAD"},
        )
        return respond(request, refusal)

    return read


@only_read
def all_problems(request: HttpRequest) -> HttpResponse:
    return render(request, "problems/all.html", {"kinds": list(ProblemType)})


@only_read
def one_problem(request: HttpRequest, slug: str) -> HttpResponse:
    kind = next((each for each in ProblemType if each.slug == slug), None)
    if kind is None:
        raise Http404
    return render(request, "problems/one.html", {"kind": kind})


urlpatterns = [
    path("", all_problems, name="problems"),
    path("<slug:slug>", one_problem, name="problem"),
]
