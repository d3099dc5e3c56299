"""The URLs of a process that serves the storefront API."""

from django.urls import include, path

from config.urls.shared import CLIENT_ERROR, SERVER_ERROR, SHARED

STOREFRONT = [
    path("api/", include("orders.api.http.documentation.urls")),
    path("api/v1/", include("orders.api.urls")),
]

urlpatterns = [*STOREFRONT, *SHARED]
handler400 = handler403 = handler404 = CLIENT_ERROR
handler500 = SERVER_ERROR
