"""Guests' links: made for one order, handed to whoever bought it, and good at addresses of their own.

The token stands in the path, since neither a link in a mail nor a browser's ``EventSource`` can send
a header. Our log names routes, not paths, and pages that a link leads to pass no referrer on.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.links import genuine, new_link, revoke_links
from access.permissions import Scopes
from orders.api.http.auth_context import caller, own_order
from orders.api.http.request_schemas import NewLink, parse_body
from orders.api.http.response_schemas import Link


class Links(APIView):
    scopes: Scopes = {"POST": Scope.WRITE, "DELETE": Scope.WRITE}

    def post(self, request: Request, order_id: UUID) -> Response:
        """Make a link by which a guest follows this order, and may cancel it.

        Nothing is stored, so no Idempotency-Key is needed: each call makes another link.
        """
        body = parse_body(NewLink, request)
        order = own_order(request, order_id)
        link = new_link(order.pk, caller(request), days=body.days, may_cancel=body.may_cancel)
        token = link.token()
        shown = Link(
            url=request.build_absolute_uri(reverse("guest-order", args=[token])),
            token=token,
            may_cancel=link.may_cancel,
            expires_at=link.expires_at,
        )
        return Response(
            shown.as_json(),
            status=HTTPStatus.CREATED,
            headers={"Cache-Control": "no-store"},
        )

    def delete(self, request: Request, order_id: UUID) -> Response:
        """End all links to this order that were made until now."""
        revoke_links(own_order(request, order_id).pk, actor=caller(request).get_username())
        return Response(status=HTTPStatus.NO_CONTENT)


def by_link(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Make a view of one order answer at a link's address, for the order that the link is for."""

    @wraps(view)
    def answer(request: HttpRequest, token: str) -> HttpResponseBase:
        link = genuine(token)
        if link is None:
            raise Http404
        request.guest_link = link  # type: ignore[attr-defined]  # read by LinkAuthentication
        response = view(request, order_id=link.order_id)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return answer
