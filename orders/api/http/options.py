"""Responses to OPTIONS: the methods in ``Allow``, and no body."""

from typing import Any

from rest_framework.metadata import BaseMetadata
from rest_framework.request import Request


class AllowedMethodsOnly(BaseMetadata):
    """Leaves out REST framework's description of a view's classes; the OpenAPI document has it."""

    def determine_metadata(self, request: Request, view: Any) -> None:
        """Return no body."""
