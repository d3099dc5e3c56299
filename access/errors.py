"""How a caller is refused; ``default_code`` is the problem's type."""

from datetime import datetime
from http import HTTPStatus

from rest_framework.exceptions import APIException, PermissionDenied

from access.grants import Scope


class ScopeMissing(PermissionDenied):
    """The caller is known, and this is not what the token or link was made for."""

    default_code = "scope-missing"

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"This needs the scope {scope.value}, which your token does not have.")
        self.scope = scope


class LinkExpired(APIException):
    """The link is genuine and was good once: its holder may know that."""

    status_code = HTTPStatus.GONE
    default_code = "link-expired"

    def __init__(self, at: datetime) -> None:
        super().__init__(f"This link was good until {at:%Y-%m-%d %H:%M} UTC. Ask for a new one.")
