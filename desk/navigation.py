"""The desk's sidebar, style sheets and icon, for django-unfold."""

from collections.abc import Sequence
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.text import capfirst

from adminkit.names import title_of_list

API_DOCUMENTATION: Final = "/api/docs/"
"""A path of the storefront."""
FLAGGED: Final = "needs_attention=yes"
OPEN_ONES: Final = "state=open"

MenuItem = dict[str, Any]


def shared_styles(_: HttpRequest) -> str:
    return static("adminkit/adminkit.css")


def desk_styles(_: HttpRequest) -> str:
    return static("desk/desk.css")


def icon(_: HttpRequest) -> str:
    return static("desk/favicon.svg")


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: links to the lists that the user may open, without empty groups."""
    groups: dict[str, Sequence[MenuItem | None]] = {
        "": [_link("Dashboard", "home", reverse("admin:index"), request)],
        "Orders": _orders(request),
        "Products and stock": _stock(request),
        "The desk": _desk(request),
        "Elsewhere": _elsewhere(request),
    }
    return [
        {"title": title, "separator": bool(title), "items": shown}
        for title, items in groups.items()
        if (shown := [item for item in items if item])
    ]


def _orders(request: HttpRequest) -> Sequence[MenuItem | None]:
    return [
        _list_link(request, "receipt_long", "orders.order"),
        _list_link(request, "flag", "orders.order", FLAGGED, "Needs attention"),
        _list_link(request, "how_to_vote", "approvals.approval", OPEN_ONES),
        _list_link(request, "route", "sagas.sagarun"),
        _list_link(request, "rule", "invariants.reconciliationbreak", OPEN_ONES),
        _list_link(request, "gavel", "desk.operatoraction"),
        _list_link(request, "playlist_add_check", "desk.bulkaction"),
        _list_link(request, "credit_card", "payments.payment"),
        _list_link(request, "history", "events.outboxevent"),
        _list_link(request, "outbox", "events.transportposition"),
    ]


def _stock(request: HttpRequest) -> Sequence[MenuItem | None]:
    return [
        _list_link(request, "sell", "inventory.product"),
        _list_link(request, "inventory_2", "inventory.stocklevel"),
        _list_link(request, "swap_vert", "inventory.stockmovement"),
        _list_link(request, "bookmark", "inventory.reservation"),
        _list_link(request, "warehouse", "inventory.warehouse"),
    ]


def _desk(request: HttpRequest) -> Sequence[MenuItem | None]:
    return [
        _list_link(request, "group", "auth.user"),
        _list_link(request, "badge", "auth.group"),
        _list_link(request, "key", "access.apitoken"),
        _list_link(request, "schedule", "django_celery_beat.periodictask"),
        _list_link(request, "lock", "axes.accessattempt"),
        _list_link(request, "fact_check", "admin.logentry"),
    ]


def _elsewhere(request: HttpRequest) -> Sequence[MenuItem | None]:
    links: list[MenuItem] = []
    if settings.FLOWER_URL:
        links.append(_link("Flower", "local_florist", settings.FLOWER_URL, request))
    if settings.STOREFRONT_URL or settings.SERVE == "both":
        address = settings.STOREFRONT_URL.rstrip("/") + API_DOCUMENTATION
        links.append(_link("API documentation", "menu_book", address, request))
    return links


def _list_link(
    request: HttpRequest, icon: str, model: str, filters: str = "", title: str = ""
) -> MenuItem | None:
    """Return the link to a list, optionally filtered; None if the user may not open it."""
    app, name = model.split(".")
    if not request.user.has_perm(f"{app}.view_{name}"):
        return None
    path = reverse(f"admin:{app}_{name}_changelist")
    is_active = request.path.startswith(path)
    if FLAGGED in (filters, request.META["QUERY_STRING"]):
        # Two items lead to the list of orders.
        is_active = request.path == path and filters == request.META["QUERY_STRING"]
    return {
        "title": title
        or capfirst(title_of_list(admin.site.get_model_admin(apps.get_model(model)))),
        "icon": icon,
        "link": f"{path}?{filters}" if filters else path,
        "active": is_active,
    }


def _link(title: str, icon: str, address: str, request: HttpRequest) -> MenuItem:
    return {"title": title, "icon": icon, "link": address, "active": request.path == address}
