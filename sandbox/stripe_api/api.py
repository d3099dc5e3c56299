"""Handles one API call: authentication, idempotency key, fault, effect, response."""

import asyncio
import binascii
import secrets
from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from sandbox.http_service.call_log import CallLog, LoggedCall
from sandbox.http_service.faults import DELIVERIES, NEVER_ARRIVED, Fault, FaultMenu, FaultRule
from sandbox.http_service.http_server import Delivery, Request, Response
from sandbox.http_service.idempotency import fingerprint_of
from sandbox.http_service.json_values import encode
from sandbox.stripe_api.account_store import AccountStore, ApiResponse, KeyedRequest
from sandbox.stripe_api.errors import ApiError, unauthorized
from sandbox.stripe_api.fault_errors import fault_error
from sandbox.stripe_api.form_params import Nested, Parameters, nest, parse_pairs
from sandbox.stripe_api.operations import Call
from sandbox.stripe_api.routes import Route, find_route, matchable_fields

API_VERSION: Final = "2026-10-28.endive"
"""Returned to clients that name no version. All objects have the format of this version."""

NO_RESPONSE: Final = ApiResponse(status=0, body="", object_id="")


@dataclass(frozen=True)
class ParsedRequest:
    """A valid request that has not been carried out."""

    route: Route
    target: str
    params: Nested
    keyed: KeyedRequest | None
    base_url: str


class Api:
    """Stripe's API. Each request takes effect at most once per idempotency key."""

    def __init__(self, store: AccountStore, faults: FaultMenu, calls: CallLog) -> None:
        self._store = store
        self._faults = faults
        self._calls = calls
        self._run = secrets.token_hex(5)

    async def respond(self, request: Request) -> Response:
        """Respond to one request. Its effect is on disk before the response is sent."""
        log = LoggedCall(key=request.headers.get("idempotency-key"))
        rule: FaultRule | None = None
        try:
            parsed = _read(request)
            log.operation, log.object_id = parsed.route.name, parsed.target
            self._store.process_due_changes()
            saved = None if parsed.keyed is None else self._store.find_saved(parsed.keyed)
            rule = self._choose_rule(parsed)
            result = await self._carry_out(parsed, saved, rule)
        except ApiError as error:
            result = ApiResponse(error.status, encode(error.body()), log.object_id)
        await self._store.ledger.durable()
        if rule is not None:
            log.fault = rule.fault
        if rule is not None and rule.fault is Fault.HOLD_AFTER:
            await rule.hold()
        if latency_ms := self._faults.latency_ms + (rule.latency_ms if rule else 0):
            await asyncio.sleep(latency_ms / 1000)
        return self._response(request, result, log)

    def _choose_rule(self, parsed: ParsedRequest) -> FaultRule | None:
        if self._faults.is_empty:
            return None
        fields = matchable_fields(self._store.account, parsed.target, parsed.params)
        return self._faults.choose(parsed.route.name, fields)

    async def _carry_out(
        self, parsed: ParsedRequest, saved: ApiResponse | None, rule: FaultRule | None
    ) -> ApiResponse:
        """Carry the request out, unless its response is saved already or a fault prevents it."""
        keyed = parsed.keyed
        if rule is not None and rule.fault in NEVER_ARRIVED:
            return NO_RESPONSE
        if rule is not None and (error := fault_error(rule.fault, keyed.key if keyed else "")):
            raise error
        with self._store.keys.in_use(None if keyed is None else keyed.key):
            if rule is not None and rule.fault is Fault.HOLD:
                await rule.hold()
            if saved is not None:
                return saved
            now = self._store.process_due_changes()
            return self._store.execute(
                parsed.route.operation,
                Call(
                    Parameters(parsed.params),
                    now,
                    parsed.target,
                    is_declined=rule is not None and rule.fault is Fault.DECLINE,
                    base_url=parsed.base_url,
                ),
                keyed,
                fails_after=rule is not None and rule.fault is Fault.ERROR_AFTER,
            )

    def _response(self, request: Request, result: ApiResponse, log: LoggedCall) -> Response:
        delivery = DELIVERIES.get(log.fault, Delivery.WHOLE)
        if delivery in {Delivery.WHOLE, Delivery.HALF}:
            log.status = result.status
        log.object_id = result.object_id or log.object_id
        log.replayed = result.replayed
        self._calls.append(log)
        headers = {
            "Request-Id": f"req_{self._run}{self._calls.last:06}",
            "Stripe-Version": request.headers.get("stripe-version", API_VERSION),
        }
        if log.key:
            headers["Idempotency-Key"] = log.key
        if result.replayed:
            headers["Idempotent-Replayed"] = "true"
        return Response(result.status, result.body.encode(), headers, delivery)


def _read(request: Request) -> ParsedRequest:
    """Parse a request. Raises ``ApiError`` for invalid credentials, URLs and forms."""
    _authenticate(request.headers.get("authorization", ""))
    route, target = find_route(request.method, request.path)
    posted = request.method == "POST"
    pairs = parse_pairs(request.body if posted else request.query)
    keyed = None
    if posted and (key := request.headers.get("idempotency-key")):
        keyed = KeyedRequest(key, request.path, fingerprint_of(pairs))
    base_url = f"http://{request.headers.get('host', '')}"
    return ParsedRequest(route, target, nest(pairs), keyed, base_url)


def _authenticate(authorization: str) -> None:
    scheme, _, credentials = authorization.partition(" ")
    key = credentials.strip()
    if scheme.lower() == "basic":
        key = _user_of(key)
    if not key or scheme.lower() not in {"bearer", "basic"}:
        raise unauthorized(
            "You did not provide an API key. Provide it in the Authorization header, using Bearer "
            "auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if key.startswith(("sk_live_", "rk_live_")):
        raise unauthorized("This is a sandbox: it does not accept live-mode API keys.")
    if not key.startswith(("sk_test_", "rk_test_")):
        raise unauthorized("Invalid API Key provided.")


def _user_of(credentials: str) -> str:
    try:
        return b64decode(credentials, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
