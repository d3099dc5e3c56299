"""What a production installation had better not do, said by ``manage.py check --deploy``."""

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register(checks.Tags.security, deploy=True)
def desk_is_locked(**_: Any) -> list[checks.CheckMessage]:
    if settings.DESK_REQUIRES_MFA or settings.DEBUG or not settings.HTTPS:
        return []
    return [
        checks.Warning(
            "The desk lets staff in with a password alone.",
            hint="Take DESK_REQUIRES_MFA=0 out of the environment.",
            id="desk.W001",
        )
    ]


@checks.register(checks.Tags.security, deploy=True)
def hosts_are_named(**_: Any) -> list[checks.CheckMessage]:
    """A wildcard takes any Host header: what we make of it (links, redirects) is then anybody's."""
    wild = [each for each in settings.ALLOWED_HOSTS if each == "*" or each.startswith(".")]
    if not wild:
        return []
    return [
        checks.Warning(
            f"ALLOWED_HOSTS takes names that nobody listed: {', '.join(wild)}.",
            hint="Name each host.",
            id="desk.W002",
        )
    ]
