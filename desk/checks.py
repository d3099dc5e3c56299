"""Checks of ``manage.py check --deploy`` for unsafe settings of the desk."""

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register(checks.Tags.security, deploy=True)
def second_factor_is_required(**_: Any) -> list[checks.CheckMessage]:
    """Warn about a desk without second factors, except on a laptop (DEBUG, or without HTTPS)."""
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
def hosts_have_no_wildcards(**_: Any) -> list[checks.CheckMessage]:
    """Warn about wildcards in host names: an attacker could choose the host of links and redirects."""
    wildcards = [host for host in settings.ALLOWED_HOSTS if host == "*" or host.startswith(".")]
    if not wildcards:
        return []
    return [
        checks.Warning(
            f"ALLOWED_HOSTS or DESK_HOSTS has wildcards: {', '.join(wildcards)}.",
            hint="Name each host.",
            id="desk.W002",
        )
    ]
