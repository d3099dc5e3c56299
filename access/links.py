"""A guest's way to one order: a link that says itself what it is good for, signed by us.

Nothing is stored when one is made. It opens its order alone, until it expires, until the order's
links are revoked, or until whoever made it is blocked. Keys that ``SECRET_KEY_FALLBACKS`` keeps
are taken for what they signed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.core.signing import BadSignature, Signer
from django.utils import timezone

from access.credentials import Grant, Scope
from access.models import LinkGeneration
from sagas.bulk_sql import select

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 90

# A signature for one purpose is worth nothing for another.
_SIGNER: Final = "access.links.order"

_ISSUER: Final = """
    LEFT JOIN access_linkgeneration ON access_linkgeneration.order_id = %s
    WHERE auth_user.id = %s AND auth_user.is_active
      AND coalesce(access_linkgeneration.generation, 0) = %s
"""


@dataclass(frozen=True, slots=True)
class GuestLink:
    """What a link says. Its generation is how often the order's links had been revoked."""

    order_id: UUID
    issuer_id: int
    generation: int
    may_cancel: bool
    expires_at: datetime

    @property
    def has_expired(self) -> bool:
        return self.expires_at <= timezone.now()

    @property
    def grant(self) -> Grant:
        scopes = {Scope.READ, Scope.WRITE} if self.may_cancel else {Scope.READ}
        return Grant(frozenset(scopes), self.order_id)

    def token(self) -> str:
        """Return the link as a text that can stand in a path."""
        says = [
            self.order_id.hex,
            self.issuer_id,
            self.generation,
            int(self.may_cancel),
            int(self.expires_at.timestamp()),
        ]
        return _signer().sign_object(says)


def new_link(order_id: UUID, issuer: User, *, days: int, may_cancel: bool) -> GuestLink:
    """Make a link to an order, of today's generation, that lasts ``days``."""
    found = LinkGeneration.objects.filter(order_id=order_id).first()
    expires_at = timezone.now().replace(microsecond=0) + timedelta(days=days)
    generation = found.generation if found else 0
    return GuestLink(order_id, issuer.pk, generation, may_cancel, expires_at)


def genuine(token: str) -> GuestLink | None:
    """Read a token; None when it is not one of ours, whatever it is. It may have expired."""
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
    """Return who vouches for a link; None when it was revoked, or its issuer blocked."""
    found = select(User, _ISSUER, [link.order_id, link.issuer_id, link.generation])
    return found[0] if found else None


def revoke_links(order_id: UUID, *, actor: str) -> None:
    """End every link to an order that was made before. Asked again, it ends those made since."""
    LinkGeneration.objects.end(order_id, actor)


def _signer() -> Signer:
    return Signer(salt=_SIGNER)
