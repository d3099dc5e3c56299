"""How a caller is refused; ``default_code`` is the problem's type."""

from rest_framework.exceptions import PermissionDenied

from access.grants import Scope


class ScopeMissing(PermissionDenied):
    """The caller is known, and this is not what the token or link was made for."""

    default_code = "scope-missing"

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"This needs the scope {scope.value}, which your token does not have.")
        self.scope = scope
