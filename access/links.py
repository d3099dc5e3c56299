"""Guest links: a signed link gives a guest access to one order.

Creating a link stores nothing. A link works until it expires, the order's links are revoked, or
its issuer is blocked. Signatures by keys in ``SECRET_KEY_FALLBACKS`` are accepted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.core.signing import BadSignature, Signer

from access.credentials import Grant, Scope
from access.models import LinkGeneration
from bulk_sql.statements import select
from clock.now import now

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 90

# A signature made for another purpose is not valid here.
_SALT: Final = "access.links.order"

_ISSUER_SQL: Final = """
    LEFT JOIN access_linkgeneration ON access_linkgeneration.order_id = %s
    WHERE auth_user.id = %s AND auth_user.is_active
      AND coalesce(access_linkgeneration.generation, 0) = %s
"""


@dataclass(frozen=True, slots=True)
class GuestLink:
    """The content of a link. ``generation`` counts how often the order's links were revoked before."""

    order_id: UUID
    issuer_id: int
    generation: int
    may_cancel: bool
    expires_at: datetime

    def has_expired(self, at: datetime) -> bool:
        return self.expires_at <= at

    @property
    def grant(self) -> Grant:
        scopes = {Scope.READ, Scope.WRITE} if self.may_cancel else {Scope.READ}
        return Grant(frozenset(scopes), self.order_id)

    def token(self) -> str:
        """Return the signed link as text for a URL path."""
        content = [
            self.order_id.hex,
            self.issuer_id,
            self.generation,
            int(self.may_cancel),
            int(self.expires_at.timestamp()),
        ]
        return _signer().sign_object(content)


def new_link(order_id: UUID, issuer: User, *, days: int, may_cancel: bool) -> GuestLink:
    """Return a link to an order, of the current generation, that expires after ``days``."""
    found = LinkGeneration.objects.filter(order_id=order_id).first()
    expires_at = now().replace(microsecond=0) + timedelta(days=days)
    generation = found.generation if found else 0
    return GuestLink(order_id, issuer.pk, generation, may_cancel, expires_at)


def read_link(token: str) -> GuestLink | None:
    """Return the link of a token; None when its signature is invalid. It may have expired."""
    try:
        order_id, issuer_id, generation, may_cancel, expires_at = _signer().unsign_object(token)
    except BadSignature:
        return None
    return GuestLink(
        UUID(order_id),
        issuer_id,
        generation,
        bool(may_cancel),
        datetime.fromtimestamp(expires_at, UTC),
    )


def issuer_of(link: GuestLink) -> User | None:
    """Return the user who created a link; None when it was revoked or the user is blocked.

    The user's ``read_at`` is the time by the clock of orders, which decides about the link's end.
    """
    values = [link.order_id, link.issuer_id, link.generation]
    found = select(User, _ISSUER_SQL, values, read_at="clock_now()")
    return found[0] if found else None


def revoke_links(order_id: UUID, *, actor: str) -> None:
    """Revoke every existing link to an order. A repeated call also revokes links made since."""
    LinkGeneration.objects.revoke_all(order_id, actor)


def _signer() -> Signer:
    return Signer(salt=_SALT)
