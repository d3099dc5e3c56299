"""Decision links: a signed link allows its holder to decide one approval without a login.

Creating a link stores nothing. A link works until it expires, or the approval's links are revoked.
Signatures by keys in ``SECRET_KEY_FALLBACKS`` are accepted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.utils import timezone

from approvals.models import ACTOR_LENGTH, Approval

DEFAULT_HOURS: Final = 24
MAX_HOURS: Final = 24 * 90
MAX_HOLDER_LENGTH: Final = 60

# A signature made for another purpose is not valid here.
_SALT: Final = "approvals.links.decision"


@dataclass(frozen=True, slots=True)
class DecisionLink:
    """The content of a link. ``generation`` counts how often the approval's links were revoked before."""

    approval_id: UUID
    generation: int
    expires_at: datetime
    holder: str
    """For whom the link was created; may be empty."""
    issuer: str
    """Who created the link."""

    @property
    def actor(self) -> str:
        """The name under which a decision by this link is recorded."""
        return f"{self.holder or 'holder of a link'}, link by {self.issuer}"[:ACTOR_LENGTH]

    @property
    def path(self) -> str:
        """The path of the page, which ``config.urls.storefront`` serves."""
        return f"/approvals/{self.token()}"

    def token(self) -> str:
        """Return the signed link as text for a URL path."""
        content = [
            self.approval_id.hex,
            self.generation,
            int(self.expires_at.timestamp()),
            self.holder,
            self.issuer,
        ]
        return _signer().sign_object(content)


def new_link(
    approval: Approval, *, holder: str, issuer: str, hours: int = DEFAULT_HOURS
) -> DecisionLink:
    """Return a link to an approval, of the current generation, that expires after ``hours``."""
    expires_at = timezone.now().replace(microsecond=0) + timedelta(hours=hours)
    return DecisionLink(approval.pk, approval.link_generation, expires_at, holder, issuer)


def read_link(token: str) -> tuple[DecisionLink, Approval] | None:
    """Return the link of a token, with its approval as it is now; None unless it is valid.

    A forged, expired or revoked link, and one to an unknown approval, are all the same to its holder.
    """
    try:
        approval_id, generation, expires_at, holder, issuer = _signer().unsign_object(token)
    except BadSignature:
        return None
    link = DecisionLink(
        UUID(approval_id), generation, datetime.fromtimestamp(expires_at, UTC), holder, issuer
    )
    if link.expires_at <= timezone.now():
        return None
    approval = Approval.objects.filter(pk=link.approval_id, link_generation=link.generation).first()
    return None if approval is None else (link, approval)


def _signer() -> Signer:
    return Signer(salt=_SALT)
