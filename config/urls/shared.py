"""The URLs of both storefront and desk: pages that explain problems, and error handlers."""

from typing import Final

from django.urls import include, path

SHARED: Final = [path("problems/", include("orders.api.http.problem_pages"))]

CLIENT_ERROR: Final = "orders.api.http.error_pages.client_error"
SERVER_ERROR: Final = "orders.api.http.error_pages.server_error"
