"""Permissions of API views. A method without a declared scope is denied."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.credentials import Grant, Scope
from access.errors import ScopeMissing

Scopes = Mapping[str, Scope]
"""The scope that each method of a view needs, as its class attribute ``scopes``."""

_METHOD_ALIASES: Final = {"HEAD": "GET"}


class NeedsScope(BasePermission):
    """Allows a caller whose grant has the scope that the view declares for the method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        grant = request.auth
        if not isinstance(grant, Grant):
            return False
        method = str(request.method)
        if method == "OPTIONS" or not hasattr(view, method.lower()):
            return True  # the view answers 405
        scopes: Scopes = getattr(view, "scopes", {})
        needed = scopes.get(_METHOD_ALIASES.get(method, method))
        if needed is None:
            return False
        if needed not in grant.scopes:
            raise ScopeMissing(needed)
        return True


class NeedsToken(BasePermission):
    """Allows any caller with a token, of any scope; not a guest link."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002 - REST framework's signature
        return isinstance(request.auth, Grant) and request.auth.token_id is not None
