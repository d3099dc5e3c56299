"""Where everything answers."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def live(_: HttpRequest) -> HttpResponse:
    """Say that this process answers; it asks nobody else."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("orders.api.schema.urls")),
    path("api/v1/", include("orders.api.urls")),
    path("problems/", include("orders.api.problem_pages")),
    path("health/live", live),
]
handler400 = "orders.api.error_pages.raised"
handler403 = "orders.api.error_pages.raised"
handler404 = "orders.api.error_pages.raised"
handler500 = "orders.api.error_pages.server_error"
