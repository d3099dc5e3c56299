"""API tokens, stored as digests, and revocations of guest links."""

from collections.abc import Iterable
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, functions
from django.utils import timezone
from knox.models import AbstractAuthToken, get_digest_token
from knox.settings import CONSTANTS

from access.credentials import Scope
from clock.now import Now
from sagas.identifiers import new_id

MAX_TOKEN_DAYS = 365


class ApiTokenManager(models.Manager["ApiToken"]):
    def issue(
        self,
        user: User,
        *,
        name: str = "",
        scopes: Iterable[Scope] = (Scope.READ, Scope.WRITE),
        days: int | None = MAX_TOKEN_DAYS,
    ) -> tuple["ApiToken", str]:
        """Create a token that expires after ``days`` (None: never); return it with its secret.

        The secret is not stored. Each call creates another token.
        """
        digest, secret = get_digest_token()
        token = self.create(
            user=user,
            name=name,
            scopes=sorted(scopes),
            digest=digest,
            token_key=secret[: CONSTANTS.TOKEN_KEY_LENGTH],
            expiry=None if days is None else timezone.now() + timedelta(days=days),
        )
        return token, secret

    def revoke(self, tokens: "models.QuerySet[ApiToken]", *, reason: str, actor: str) -> int:
        """Revoke the tokens that are not revoked yet; return how many these were."""
        return tokens.filter(revoked_at=None).update(
            revoked_at=functions.Now(), revoked_by=actor, revoked_reason=reason
        )


class ApiToken(AbstractAuthToken):  # type: ignore[misc]  # knox has no types
    """A secret that a storefront sends with each request, for a customer or the shop's server.

    Looked up by its digest: SHA-512 of 256 random bits, so no salt or slow hash is needed. Rows
    are never deleted: they document what a token allowed.
    """

    # Pages and logs show this id, never the digest.
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    digest = models.CharField(max_length=CONSTANTS.DIGEST_LENGTH, unique=True, editable=False)
    name = models.CharField(max_length=100, blank=True)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope))
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)
    revoked_reason = models.CharField(max_length=255, blank=True)

    objects = ApiTokenManager()

    class Meta:
        verbose_name = "API token"
        verbose_name_plural = "API tokens"
        ordering: ClassVar = ["-created"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(scopes__contained_by=Scope.values), name="access_scopes_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.token_key}… of {self.user}"

    @property
    def status_text(self) -> str:
        """The token's status as text, such as "expired 2026-01-31"."""
        if self.revoked_at:
            return f"revoked {self.revoked_at:%Y-%m-%d}"
        if self.expiry is None:
            return "valid until revoked"
        has_expired = self.expiry <= timezone.now()
        return f"{'expired' if has_expired else 'valid until'} {self.expiry:%Y-%m-%d}"


class LinkGenerationManager(models.Manager["LinkGeneration"]):
    def revoke_all(self, order_id: UUID, actor: str) -> None:
        """Revoke all links to an order: increase its generation by one, once for each call."""
        self.bulk_create([LinkGeneration(order_id=order_id, generation=0)], ignore_conflicts=True)
        self.filter(order_id=order_id).update(
            generation=models.F("generation") + 1, revoked_at=Now(), revoked_by=actor
        )


class LinkGeneration(models.Model):
    """How often an order's links were revoked; links of an earlier generation are invalid."""

    order_id = models.UUIDField(primary_key=True)
    generation = models.PositiveIntegerField()
    revoked_at = models.DateTimeField(db_default=Now())
    revoked_by = models.CharField(max_length=150, blank=True)

    objects = LinkGenerationManager()

    class Meta:
        verbose_name = "links of an order"
        verbose_name_plural = "links of orders"

    def __str__(self) -> str:
        return f"{self.order_id}: {self.generation}"
