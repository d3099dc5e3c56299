"""Errors of authorization and rate limits. ``default_code`` is the type of the problem."""

from datetime import datetime
from http import HTTPStatus

from rest_framework.exceptions import APIException, ErrorDetail, PermissionDenied, Throttled

from access.credentials import Scope


class ScopeMissing(PermissionDenied):
    """The token or link does not have the scope that the view needs."""

    default_code = "scope-missing"

    def __init__(self, scope: Scope) -> None:
        super().__init__(
            f"This needs the scope {scope.value}, which your token or link does not have."
        )
        self.scope = scope


class LinkExpired(APIException):
    """The link has a valid signature and has expired."""

    status_code = HTTPStatus.GONE
    default_code = "link-expired"

    def __init__(self, at: datetime) -> None:
        super().__init__(
            f"This link expired on {at:%Y-%m-%d %H:%M} UTC. Ask the shop for a new one."
        )


class TooManyRequests(Throttled):
    """A caller has used up a rate. ``headers`` name the rate and the wait.

    RateLimit-Policy and RateLimit follow draft-ietf-httpapi-ratelimit-headers-10: quota ``q`` per
    ``w`` seconds, remaining ``r`` (0), reset in ``t`` seconds.
    """

    def __init__(self, policy: str, quota: int, window: int, wait: int) -> None:
        super().__init__(wait)
        self.detail = ErrorDetail(f"The rate {policy} allows {quota} requests in {window} s.")
        self.headers = {
            "RateLimit-Policy": f'"{policy}";q={quota};w={window}',
            "RateLimit": f'"{policy}";r=0;t={wait}',
        }
