"""Where everything answers."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def live(_: HttpRequest) -> HttpResponse:
    """Say that this process answers; it asks nobody else."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("orders.api.urls")),
    path("health/live", live),
]
handler404 = "orders.api.problems.page_not_found"
handler500 = "orders.api.problems.server_error"
