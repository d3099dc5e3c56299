"""Paths of the API's documentation, below /api/."""

from django.urls import path

from orders.api.http.documentation.pages import DocumentView, SwaggerView

urlpatterns = [
    path("schema", DocumentView.as_view(), name="schema"),
    path("docs/", SwaggerView.as_view(), name="manual"),
]
