"""The page on which a customer authenticates a payment: in place of the issuer's own page."""

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from tornado import template

from sandbox.http_service.http_server import Request, Response
from sandbox.stripe_api.account_store import AccountStore
from sandbox.stripe_api.account_summary import payment_row
from sandbox.stripe_api.authentications import (
    AuthenticationResult,
    NotWaiting,
    finish_authentication,
)
from sandbox.stripe_api.cards import TEST_CARDS
from sandbox.stripe_api.confirmation import AUTHENTICATION_PAGE
from sandbox.stripe_api.control_page import FOLDER, HEADERS, text_page
from sandbox.stripe_api.records import IntentStatus, PaymentIntent

FORM_ACTION: Final = "form-action 'self'"


class AuthenticationPage:
    """One page for each PaymentIntent, with two buttons while it waits. It has no script.

    A pressed button redirects to the ``return_url`` with Stripe's parameters, or to the page itself.
    """

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._template = template.Loader(str(FOLDER)).load("authenticate.html")

    @staticmethod
    def serves(path: str) -> bool:
        return path.startswith(f"{AUTHENTICATION_PAGE}/")

    async def respond(self, request: Request) -> Response:
        """Return the page of an intent, or end its authentication as a submitted form says."""
        if request.method not in {"GET", "POST"}:
            return text_page(HTTPStatus.METHOD_NOT_ALLOWED, "GET and POST only")
        self._store.process_due_changes()
        await self._store.ledger.durable()
        intent = self._store.account.intents.get(request.path.rpartition("/")[2])
        if intent is None:
            return text_page(HTTPStatus.NOT_FOUND, "There is no such payment here.")
        if request.method == "GET":
            return self._rendered(intent)
        return await self._finish(intent, request)

    async def _finish(self, intent: PaymentIntent, request: Request) -> Response:
        try:
            result = AuthenticationResult(parse_qs(request.body.decode())["result"][0])
        except (KeyError, ValueError):
            return text_page(HTTPStatus.BAD_REQUEST, "The result is complete or fail.")
        try:
            ended = finish_authentication(self._store, intent.id, result)
        except NotWaiting as error:
            return text_page(HTTPStatus.CONFLICT, f"This payment waits for nothing: {error}.")
        await self._store.ledger.durable()
        location = _return_address(intent, ended) or f"{AUTHENTICATION_PAGE}/{intent.id}"
        return Response(HTTPStatus.SEE_OTHER, b"", {**HEADERS, "Location": location})

    def _rendered(self, intent: PaymentIntent) -> Response:
        page = self._template.generate(
            row=payment_row(self._store.account, intent),
            card=TEST_CARDS.get(intent.payment_method or ""),
            action=f"{AUTHENTICATION_PAGE}/{intent.id}",
        )
        return Response(
            HTTPStatus.OK, page, _headers(intent), content_type="text/html; charset=utf-8"
        )


def _return_url(intent: PaymentIntent) -> str:
    """Return the ``return_url`` of a waiting intent's next action; empty without one."""
    action = intent.next_action or {}
    redirect = action.get("redirect_to_url")
    return str(redirect["return_url"]) if isinstance(redirect, dict) else ""


def _return_address(waiting: PaymentIntent, ended: PaymentIntent) -> str:
    """Return where the customer goes from the page, with Stripe's parameters; empty for nowhere."""
    url = _return_url(waiting)
    if not url:
        return ""
    succeeded = ended.status in {IntentStatus.REQUIRES_CAPTURE, IntentStatus.SUCCEEDED}
    parameters = {
        "payment_intent": ended.id,
        "payment_intent_client_secret": ended.client_secret,
        "redirect_status": "succeeded" if succeeded else "failed",
    }
    address, hash_sign, fragment = url.partition("#")
    joined = "&" if "?" in address else "?"
    return f"{address}{joined}{urlencode(parameters)}{hash_sign}{fragment}"


def _headers(intent: PaymentIntent) -> dict[str, str]:
    """Return the headers of the page. A browser also checks the redirect after a form against them."""
    policy = HEADERS["Content-Security-Policy"]
    if url := _return_url(intent):
        parts = urlsplit(url)
        policy = policy.replace(FORM_ACTION, f"{FORM_ACTION} {parts.scheme}://{parts.netloc}")
    return {**HEADERS, "Content-Security-Policy": policy}
