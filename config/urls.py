"""Where everything answers; but for ``/health/``, see ``monitoring.health``."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("orders.api.http.documentation.urls")),
    path("api/v1/", include("orders.api.urls")),
    path("problems/", include("orders.api.http.problem_pages")),
]
handler400 = "orders.api.http.error_pages.client_error"
handler403 = "orders.api.http.error_pages.client_error"
handler404 = "orders.api.http.error_pages.client_error"
handler500 = "orders.api.http.error_pages.server_error"
