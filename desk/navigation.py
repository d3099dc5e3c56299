"""The desk's sidebar: links to the lists that the member of staff may open."""

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
"""On the storefront."""
FLAGGED: Final = "needs_attention=yes"
OPEN_BREAKS: Final = "state=open"

MenuItem = dict[str, Any]


def shared_styles(_: HttpRequest) -> str:
    return static("adminkit/adminkit.css")


def desk_styles(_: HttpRequest) -> str:
    return static("desk/desk.css")


def icon(_: HttpRequest) -> str:
    return static("desk/favicon.svg")


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar's groups for django-unfold, without empty groups."""
    groups: dict[str, Sequence[MenuItem | None]] = {
        "": [_link("Start", "home", reverse("admin:index"), request)],
        "Orders": _orders(request),
        "Goods": _goods(request),
        "The desk": _desk(request),
        "Elsewhere": _elsewhere(request),
    }
    return [
        {"title": title, "separator": bool(title), "items": found}
        for title, entries in groups.items()
        if (found := [item for item in entries if item])
    ]


def _orders(request: HttpRequest) -> Sequence[MenuItem | None]:
    return [
        _rows(request, "receipt_long", "orders.order"),
        _rows(request, "flag", "orders.order", FLAGGED, "Needs attention"),
        _rows(request, "route", "sagas.sagarun"),
        _rows(request, "rule", "invariants.reconciliationbreak", OPEN_BREAKS),
        _rows(request, "gavel", "desk.operatoraction"),
        _rows(request, "playlist_add_check", "desk.bulkaction"),
        _rows(request, "credit_card", "payments.payment"),
        _rows(request, "history", "events.outboxevent"),
    ]


def _goods(request: HttpRequest) -> Sequence[MenuItem | None]:
    return [
        _rows(request, "sell", "inventory.product"),
        _rows(request, "inventory_2", "inventory.stocklevel"),
        _rows(request, "swap_vert", "inventory.stockmovement"),
        _rows(request, "bookmark", "inventory.reservation"),
        _rows(request, "warehouse", "inventory.warehouse"),
    ]


def _desk(request: HttpRequest) -> Sequence[MenuItem | None]:
    return [
        _rows(request, "group", "auth.user"),
        _rows(request, "badge", "auth.group"),
        _rows(request, "key", "access.apitoken"),
        _rows(request, "schedule", "django_celery_beat.periodictask"),
        _rows(request, "lock", "axes.accessattempt"),
        _rows(request, "fact_check", "admin.logentry"),
    ]


def _elsewhere(request: HttpRequest) -> Sequence[MenuItem | None]:
    links: list[MenuItem] = []
    if settings.FLOWER_URL:
        links.append(_link("Flower", "local_florist", settings.FLOWER_URL, request))
    if settings.STOREFRONT_URL or settings.SERVE == "both":
        address = settings.STOREFRONT_URL.rstrip("/") + API_DOCUMENTATION
        links.append(_link("API documentation", "menu_book", address, request))
    return links


def _rows(
    request: HttpRequest, icon: str, model: str, filters: str = "", title: str = ""
) -> MenuItem | None:
    """Return the link to a list, optionally filtered; None if the user may not see it."""
    app, name = model.split(".")
    if not request.user.has_perm(f"{app}.view_{name}"):
        return None
    path = reverse(f"admin:{app}_{name}_changelist")
    is_shown = request.path.startswith(path)
    if FLAGGED in (filters, request.META["QUERY_STRING"]):
        # Two items lead to the list of orders.
        is_shown = request.path == path and filters == request.META["QUERY_STRING"]
    return {
        "title": title
        or capfirst(title_of_list(admin.site.get_model_admin(apps.get_model(model)))),
        "icon": icon,
        "link": f"{path}?{filters}" if filters else path,
        "active": is_shown,
    }


def _link(title: str, icon: str, address: str, request: HttpRequest) -> MenuItem:
    return {"title": title, "icon": icon, "link": address, "active": request.path == address}
