"""What storefront and desk have in common: the pages that explain problems, and errors."""

from typing import Final

from django.urls import include, path

SHARED: Final = [path("problems/", include("orders.api.http.problem_pages"))]

CLIENT_ERROR: Final = "orders.api.http.error_pages.client_error"
SERVER_ERROR: Final = "orders.api.http.error_pages.server_error"
