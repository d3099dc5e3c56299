"""Making and revoking guest links, and serving an order's views to guests.

The link's token is part of the path: a link in a mail and a browser's ``EventSource`` cannot send
headers. The access log has routes instead of paths, and pages below a link send no referrer.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.credentials import Scope
from access.links import new_link, read_link, revoke_links
from access.permissions import Scopes
from orders.api.http.auth_context import account_of, own_order
from orders.api.http.documentation.operation import Operation, SuccessResponse, documented
from orders.api.http.request_schemas import parse_body
from orders.api.links.schemas import EXAMPLE_LINK, Link, NewLink

_MAKE_LINK: Final = Operation(
    "make_link",
    "Guest links",
    "Make a guest link to an order",
    "For buyers without an account: everyone who has the link can read this order until the link "
    "expires, and can cancel it if `may_cancel` is true. Links are not stored, so no "
    "`Idempotency-Key` is needed: each request makes another link.",
    (SuccessResponse(HTTPStatus.CREATED, "The link.", Link, {"For 30 days": EXAMPLE_LINK}),),
    body=NewLink,
    body_examples={"One week, read only": {"days": 7, "may_cancel": False}},
)
_REVOKE_LINKS: Final = Operation(
    "revoke_links",
    "Guest links",
    "Revoke all guest links to an order",
    "Links that were made before this request stop working. Later ones work.",
    (SuccessResponse(HTTPStatus.NO_CONTENT, "All earlier links are revoked."),),
)


class LinksView(APIView):
    scopes: Scopes = {"POST": Scope.WRITE, "DELETE": Scope.WRITE}

    @documented(_MAKE_LINK)
    def post(self, request: Request, order_id: UUID) -> Response:
        """Return a new guest link to this order. Stores nothing: a repetition makes another link."""
        body = parse_body(NewLink, request)
        order = own_order(request, order_id)
        link = new_link(order.pk, account_of(request), days=body.days, may_cancel=body.may_cancel)
        token = link.token()
        content = Link(
            url=request.build_absolute_uri(reverse("guest-order", args=[token])),
            token=token,
            may_cancel=link.may_cancel,
            expires_at=link.expires_at,
        )
        return Response(
            content.as_json(), status=HTTPStatus.CREATED, headers={"Cache-Control": "no-store"}
        )

    @documented(_REVOKE_LINKS)
    def delete(self, request: Request, order_id: UUID) -> Response:
        """Revoke all links to this order that were made before."""
        revoke_links(own_order(request, order_id).pk, actor=account_of(request).get_username())
        return Response(status=HTTPStatus.NO_CONTENT)


def guest_view_of(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Serve a view of one order at a guest link's path, for the order of the link.

    Raises 404 for a token whose signature is invalid. ``LinkAuthentication`` checks the rest.
    """

    @wraps(view)
    def guest_view(request: HttpRequest, token: str) -> HttpResponseBase:
        link = read_link(token)
        if link is None:
            raise Http404
        request.guest_link = link  # type: ignore[attr-defined]  # read by LinkAuthentication
        response = view(request, order_id=link.order_id)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return guest_view
