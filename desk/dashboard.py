"""The dashboard, and its figures, which the page refreshes every few seconds."""

from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from desk.dashboard_queries import DashboardData, dashboard_data
from desk.sessions import in_background

CHART_HEIGHT: Final = 96
BAR_PITCH: Final = 10
BAR_WIDTH: Final = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute of the chart, in units of its viewBox."""

    x: int
    y: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The orders confirmed in each minute of the last hour."""

    bars: list[Bar]
    highest: int
    total: int
    latest: int  # the orders of the last whole minute

    width: int = 60 * BAR_PITCH
    height: int = CHART_HEIGHT
    bar_width: int = BAR_WIDTH


def may_see_dashboard(request: HttpRequest) -> bool:
    """Return whether the user may see orders, and so the figures."""
    return isinstance(request.user, User) and request.user.has_perm("orders.view_order")


def figures() -> dict[str, Any]:
    """Return the context of the figures' template."""
    data = dashboard_data()
    return {"data": data, "chart": _chart(data)}


@in_background
def figures_fragment(request: HttpRequest) -> HttpResponse:
    """Return the current figures as HTML; the dashboard polls this. Raises PermissionDenied."""
    if not may_see_dashboard(request):
        raise PermissionDenied
    return TemplateResponse(request, "desk/dashboard_figures.html", figures())


def _chart(data: DashboardData) -> Chart:
    counts = [count for _, count in data.confirmed]
    highest = max(counts)
    bars = []
    for position, (minute, count) in enumerate(data.confirmed):
        height = CHART_HEIGHT * count / highest if highest else 0
        title = f"{minute:%H:%M}: {count} confirmed"
        bars.append(Bar(position * BAR_PITCH, CHART_HEIGHT - height, height, title))
    return Chart(bars=bars, highest=highest, total=sum(counts), latest=counts[-2])
