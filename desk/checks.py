"""Checks of ``manage.py check --deploy`` for unsafe settings of the desk."""

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register(checks.Tags.security, deploy=True)
def desk_is_locked(**_: Any) -> list[checks.CheckMessage]:
    if settings.DESK_REQUIRES_MFA or settings.DEBUG or not settings.HTTPS:
        return []
    return [
        checks.Warning(
            "Staff can log in to the desk with a password only.",
            hint="Remove DESK_REQUIRES_MFA=0 from the environment.",
            id="desk.W001",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def hosts_are_named(**_: Any) -> list[checks.CheckMessage]:
    """A wildcard accepts any Host header, so an attacker could choose the host of links and redirects."""
    wild = [host for host in settings.ALLOWED_HOSTS if host == "*" or host.startswith(".")]
    if not wild:
        return []
    return [
        checks.Warning(
            f"ALLOWED_HOSTS or DESK_HOSTS has wildcards: {', '.join(wild)}.",
            hint="Name each host.",
            id="desk.W002",
        )
    ]
