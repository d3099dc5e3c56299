"""Who is calling: knox's tokens, from headers that may hold anything."""

from typing import Final

from django.contrib.auth.models import User
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed

from sagas.row_sets import select

_BY_DIGEST: Final = """
    JOIN knox_authtoken ON knox_authtoken.user_id = auth_user.id
    WHERE knox_authtoken.digest = %s AND auth_user.is_active
      AND (knox_authtoken.expiry IS NULL OR knox_authtoken.expiry > statement_timestamp())
"""


class BearerAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """Knox's headers and tokens, each looked up by its digest in one statement.

    Knox's own look-up is for digests with a salt, which it no longer has, and reads all tokens of
    the user besides, to delete those that have expired.
    """

    def authenticate_credentials(self, token: bytes) -> tuple[User, None]:
        if not token.isalnum():  # as all of knox's are; others may be no text at all
            raise AuthenticationFailed("Invalid token.")
        found = select(User, _BY_DIGEST, [hash_token(token.decode())])
        if not found:
            raise AuthenticationFailed("Invalid token.")
        return found[0], None
