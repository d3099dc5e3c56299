"""The URLs of a process that serves the storefront: the API, and the page of a decision link."""

from django.urls import include, path

from config.urls.shared import CLIENT_ERROR, SERVER_ERROR, SHARED
from orders.api.approvals.decision_page import decision_page

STOREFRONT = [
    path("api/", include("orders.api.http.documentation.urls")),
    path("api/v1/", include("orders.api.urls")),
    path("approvals/<str:token>", decision_page, name="decision-link"),
]

urlpatterns = [*STOREFRONT, *SHARED]
handler400 = handler403 = handler404 = CLIENT_ERROR
handler500 = SERVER_ERROR
