"""Authenticates API requests: bearer tokens and guest links."""

import re
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.http import Http404
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from access.credentials import Grant, Scope
from access.errors import LinkExpired
from access.links import GuestLink, issuer_of
from access.throttling import count_failure
from bulk_sql.statements import select

_TOKEN: Final = re.compile(rb"\w{1,128}", re.ASCII)

_BY_DIGEST: Final = """
    JOIN access_apitoken ON access_apitoken.user_id = auth_user.id
    WHERE access_apitoken.digest = %s AND access_apitoken.revoked_at IS NULL
      AND (access_apitoken.expiry IS NULL OR access_apitoken.expiry > statement_timestamp())
      AND auth_user.is_active
"""


class BearerAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """Knox's headers and tokens; token and user are read by digest, in one statement.

    Knox's own lookup reads all tokens of the user, to delete expired ones.
    """

    def authenticate(self, request: Request) -> tuple[User, Grant] | None:
        try:
            found: tuple[User, Grant] | None = super().authenticate(request)
        except AuthenticationFailed:
            count_failure(request)
            raise
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, Grant]:
        if not _TOKEN.fullmatch(token):  # every knox token matches; other bytes may not decode
            raise AuthenticationFailed("Invalid token.")
        digest = hash_token(token.decode())
        found = select(
            User,
            _BY_DIGEST,
            [digest],
            scopes="access_apitoken.scopes",
            token_id="access_apitoken.id",  # noqa: S106 - a column
        )
        if not found:
            raise AuthenticationFailed("Invalid token.")
        user = found[0]
        scopes: list[str] = getattr(user, "scopes")  # noqa: B009 - a column of the statement
        token_id: UUID = getattr(user, "token_id")  # noqa: B009 - likewise
        return user, Grant(frozenset(map(Scope, scopes)), token_id=token_id)


class LinkAuthentication(BaseAuthentication):
    """Authenticates a request by its guest link, as the link's issuer; one statement.

    Under a link's address no token is needed or used.
    """

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - REST framework's signature
        """Return the challenge of a 401. REST framework asks only the first authentication class."""
        return "Bearer"

    def authenticate(self, request: Request) -> tuple[User, Grant] | None:
        link: GuestLink | None = getattr(request._request, "guest_link", None)  # noqa: SLF001 - its documented place
        if link is None:
            return None
        if link.has_expired(timezone.now()):  # costs no statement; the clock is never behind
            raise LinkExpired(link.expires_at)
        issuer = issuer_of(link)
        if issuer is None:
            raise Http404
        if link.has_expired(getattr(issuer, "read_at")):  # noqa: B009 - a column of the statement
            raise LinkExpired(link.expires_at)
        return issuer, link.grant
