"""Giving up a token."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from orders.api.http.documentation.operation import Answer, Operation

LOGGING_OUT: Final[Mapping[str, Operation]] = {
    "DELETE /api/v1/token": Operation(
        "revoke_token",
        "Access",
        "Revoke the token that you send",
        "For when a customer logs out: the token is good for nothing from now on. Any token may do "
        "this, whatever its scopes; other tokens of the account stay as they are. No "
        "`Idempotency-Key` is asked for: the first answer is 204, and a repetition is answered 401, "
        "by which you know that the token is revoked.",
        (Answer(HTTPStatus.NO_CONTENT, "The token is revoked."),),
        needs_scope=False,
    ),
}
