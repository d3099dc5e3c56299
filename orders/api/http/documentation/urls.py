"""Where the API's document and manual are, below /api/."""

from django.urls import path

from orders.api.http.documentation.pages import Document, Manual

urlpatterns = [
    path("schema", Document.as_view(), name="schema"),
    path("docs/", Manual.as_view(), name="manual"),
]
