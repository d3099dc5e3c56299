"""Who is calling: knox's tokens, from headers that may hold anything."""

from typing import Any

from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed


class BearerAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """Knox's, which takes it for granted that what it looks up is text that a database takes."""

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token.")
        return super().authenticate_credentials(token)

    def _cleanup_token(self, auth_token: AuthToken) -> bool:
        """Whether the token has expired.

        Knox's own also reads every other token of the user, to delete those that have: a query
        for each request, and one that grows with the number of tokens.
        """
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()
