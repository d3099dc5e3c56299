"""The life of one call to the API: who asks, which key, which fault, the effect, the answer."""

import asyncio
import binascii
import secrets
from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from sandbox.http_service.call_log import CallLog, LoggedCall
from sandbox.http_service.faults import DELIVERIES, NEVER_ARRIVED, Fault, FaultMenu, Rule
from sandbox.http_service.http_server import Delivery, Request, Response
from sandbox.http_service.idempotency import fingerprint_of
from sandbox.http_service.json_values import encode
from sandbox.stripe_api.bank import Answer, Bank, Claim
from sandbox.stripe_api.errors import ApiError, unauthorized
from sandbox.stripe_api.fault_answers import refusal
from sandbox.stripe_api.form_params import Nested, Parameters, nest, parse_pairs
from sandbox.stripe_api.operations import Call
from sandbox.stripe_api.routes import Route, facts_about, find_route

API_VERSION: Final = "2026-10-28.endive"
"""Echoed to clients that name none; the objects are those of this version for everybody."""

NO_ANSWER: Final = Answer(status=0, body="", object_id="")


@dataclass(frozen=True)
class Asked:
    """A request that the API understands, before anything was done about it."""

    route: Route
    target: str
    given: Nested
    claim: Claim | None


class Api:
    def __init__(self, bank: Bank, faults: FaultMenu, calls: CallLog) -> None:
        self._bank = bank
        self._faults = faults
        self._calls = calls
        self._run = secrets.token_hex(5)

    async def respond(self, request: Request) -> Response:
        """Answer one request. Whatever its answer tells is on disk before it leaves."""
        log = LoggedCall(key=request.headers.get("idempotency-key"))
        rule: Rule | None = None
        try:
            asked = _read(request)
            log.operation, log.object_id = asked.route.name, asked.target
            self._bank.pass_time()
            saved = None if asked.claim is None else self._bank.find_saved(asked.claim)
            rule = self._draw(asked)
            answer = await self._answer(asked, saved, rule)
        except ApiError as error:
            answer = Answer(error.status, encode(error.body()), log.object_id)
        await self._bank.ledger.durable()
        if rule is not None:
            log.fault = rule.fault
        if rule is not None and rule.fault is Fault.HOLD_AFTER:
            await rule.hold()
        if latency_ms := self._faults.latency_ms + (rule.latency_ms if rule else 0):
            await asyncio.sleep(latency_ms / 1000)
        return self._response(request, answer, log)

    def _draw(self, asked: Asked) -> Rule | None:
        if self._faults.is_empty:
            return None
        facts = facts_about(self._bank.account, asked.target, asked.given)
        return self._faults.draw(asked.route.name, facts)

    async def _answer(self, asked: Asked, saved: Answer | None, rule: Rule | None) -> Answer:
        """Do what was asked, once: a saved answer is repeated, and a fault may come before."""
        claim = asked.claim
        if rule is not None and rule.fault in NEVER_ARRIVED:
            return NO_ANSWER
        if rule is not None and (error := refusal(rule.fault, claim.key if claim else "")):
            raise error
        with self._bank.keys.in_use(None if claim is None else claim.key):
            if rule is not None and rule.fault is Fault.HOLD:
                await rule.hold()
            if saved is not None:
                return saved
            now = self._bank.pass_time()
            return self._bank.execute(
                asked.route.operation,
                Call(
                    Parameters(asked.given),
                    now,
                    asked.target,
                    is_declined=rule is not None and rule.fault is Fault.DECLINE,
                ),
                claim,
                answer_error=rule is not None and rule.fault is Fault.ERROR_AFTER,
            )

    def _response(self, request: Request, answer: Answer, log: LoggedCall) -> Response:
        delivery = DELIVERIES.get(log.fault, Delivery.WHOLE)
        if delivery in {Delivery.WHOLE, Delivery.HALF}:
            log.status = answer.status
        log.object_id = answer.object_id or log.object_id
        log.replayed = answer.replayed
        self._calls.append(log)
        headers = {
            "Request-Id": f"req_{self._run}{self._calls.last:06}",
            "Stripe-Version": request.headers.get("stripe-version", API_VERSION),
        }
        if log.key:
            headers["Idempotency-Key"] = log.key
        if answer.replayed:
            headers["Idempotent-Replayed"] = "true"
        return Response(answer.status, answer.body.encode(), headers, delivery)


def _read(request: Request) -> Asked:
    """Raises ``ApiError`` for a caller, a URL or a form that the API does not accept."""
    _authenticate(request.headers.get("authorization", ""))
    route, target = find_route(request.method, request.path)
    posted = request.method == "POST"
    pairs = parse_pairs(request.body if posted else request.query)
    claim = None
    if posted and (key := request.headers.get("idempotency-key")):
        claim = Claim(key, request.path, fingerprint_of(pairs))
    return Asked(route, target, nest(pairs), claim)


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
