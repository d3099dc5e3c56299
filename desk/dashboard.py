"""The start page, and the part of it that it fetches again every few seconds."""

from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from desk.dashboard_queries import Overview, overview
from desk.sessions import in_background

HEIGHT: Final = 96
PITCH: Final = 10
BAR: Final = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute of the chart, in the chart's own units."""

    x: int
    y: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    bars: list[Bar]
    highest: int
    total: int
    latest: int  # of the last whole minute

    width: int = 60 * PITCH
    height: int = HEIGHT
    bar: int = BAR


def may_see_figures(request: HttpRequest) -> bool:
    """Whether this member of staff may see orders, of which the figures are made."""
    return isinstance(request.user, User) and request.user.has_perm("orders.view_order")


def figures() -> dict[str, Any]:
    """Return what the template of the figures is made of."""
    shown = overview()
    return {"shown": shown, "chart": _chart(shown)}


@in_background
def refreshed(request: HttpRequest) -> HttpResponse:
    """Answer the page's own question for newer figures."""
    if not may_see_figures(request):
        raise PermissionDenied
    return TemplateResponse(request, "desk/start_figures.html", figures())


def _chart(shown: Overview) -> Chart:
    counts = [count for _, count in shown.confirmed]
    highest = max(counts)
    bars = []
    for place, (minute, count) in enumerate(shown.confirmed):
        height = HEIGHT * count / highest if highest else 0
        title = f"{minute:%H:%M}: {count} confirmed"
        bars.append(Bar(place * PITCH, HEIGHT - height, height, title))
    return Chart(bars=bars, highest=highest, total=sum(counts), latest=counts[-2])
