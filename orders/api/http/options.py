"""What OPTIONS tells: the methods, in ``Allow``. The schema says what they are for."""

from typing import Any

from rest_framework.metadata import BaseMetadata
from rest_framework.request import Request


class OnlyMethods(BaseMetadata):
    """Nothing of what an endpoint is made of, which is what REST framework would tell."""

    def determine_metadata(self, request: Request, view: Any) -> None:
        """Leave the body empty."""
