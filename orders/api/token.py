"""Logout: a client revokes the token that it sends."""

from http import HTTPStatus

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.models import ApiToken
from access.permissions import NeedsToken
from orders.api.http.auth_context import account_of, grant_of
from orders.api.http.documentation.operation import Operation, SuccessResponse, documented

_REVOKE_TOKEN = Operation(
    "revoke_token",
    "Tokens",
    "Revoke the token of this request",
    "For when a customer logs out: the token stops working at once. Any token may do this, whatever "
    "its scopes; other tokens of the account stay valid. No `Idempotency-Key` is needed: the first "
    "response is 204, and a repetition gets 401, which confirms that the token is revoked.",
    (SuccessResponse(HTTPStatus.NO_CONTENT, "The token is revoked."),),
)


class TokenView(APIView):
    permission_classes = (NeedsToken,)

    @documented(_REVOKE_TOKEN)
    def delete(self, request: Request) -> Response:
        """Revoke the token that the request carries. Other tokens of the account stay valid.

        A repetition changes nothing: it is not authenticated any more.
        """
        token = ApiToken.objects.filter(pk=grant_of(request).token_id)
        actor = account_of(request).get_username()
        ApiToken.objects.revoke(token, reason="logged out", actor=actor)
        return Response(status=HTTPStatus.NO_CONTENT)
