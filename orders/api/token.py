"""Giving up a token: what a storefront does when its customer logs out."""

from http import HTTPStatus

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.models import ApiToken
from access.permissions import NeedsToken
from orders.api.http.auth_context import caller, grant_of


class Token(APIView):
    permission_classes = (NeedsToken,)

    def delete(self, request: Request) -> Response:
        """Revoke the token that asks. Its account's other tokens stay as they are.

        No Idempotency-Key is needed: there is nothing that it could do twice, and whoever repeats
        it is not let in any more.
        """
        token = ApiToken.objects.filter(pk=grant_of(request).token_id)
        name = caller(request).get_username()
        ApiToken.objects.revoke(token, reason="logged out", actor=name)
        return Response(status=HTTPStatus.NO_CONTENT)
