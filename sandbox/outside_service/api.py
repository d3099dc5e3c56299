"""Handles one request: idempotency key, fault, the rule that answers, the log of acts."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from sandbox.http_service.call_log import CallLog, LoggedCall
from sandbox.http_service.clock import Clock
from sandbox.http_service.faults import DELIVERIES, NEVER_ARRIVED, Fault, FaultMenu, FaultRule
from sandbox.http_service.http_server import Delivery, Request, Response
from sandbox.http_service.idempotency import (
    IdempotencyKeys,
    KeyInUse,
    KeyReused,
    KeyTooLong,
    SavedResponse,
    fingerprint_of,
)
from sandbox.http_service.json_values import encode
from sandbox.outside_service.act_log import Act, ActLog
from sandbox.outside_service.rules import AnswerRule, AnswerRules

READS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class ServiceResponse:
    """The response to one request, before a fault can change its delivery."""

    status: int
    body: str
    replayed: bool = False


class Rejected(Exception):
    """The service responds with an error, and does nothing."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.answer = ServiceResponse(status, encode({"code": code}))


@dataclass(frozen=True)
class ParsedRequest:
    """A valid request that has not been acted on."""

    method: str
    path: str
    key: str | None
    content: Mapping[str, Any]
    rule: AnswerRule

    @property
    def fingerprint(self) -> str:
        return fingerprint_of([("request", encode(dict(self.content)))])


class Api:
    """Acts on each request at most once per idempotency key, and logs every act.

    The key is optional, as at most services: without a key a repeated request acts again.
    """

    def __init__(self, rules: AnswerRules, faults: FaultMenu, calls: CallLog) -> None:
        self.rules = rules
        self._faults = faults
        self._calls = calls
        self.start_over()

    def start_over(self) -> None:
        """Forget all keys, acts and added rules, and reset the clock."""
        self.rules.reset()
        self.act_log = ActLog()
        self.clock = Clock()
        self._keys = IdempotencyKeys()

    async def respond(self, request: Request) -> Response:
        log = LoggedCall(key=request.headers.get("idempotency-key"))
        rule: FaultRule | None = None
        try:
            parsed = self._read(request)
            log.operation = parsed.rule.operation
            saved = self._find_saved(parsed)
            rule = self._faults.choose(parsed.rule.operation, parsed.content)
            answer = await self._answer(parsed, saved, rule)
        except Rejected as rejected:
            answer = rejected.answer
        if rule is not None:
            log.fault = rule.fault
        if rule is not None and rule.fault is Fault.HOLD_AFTER:
            await rule.hold()
        if latency_ms := self._faults.latency_ms + (rule.latency_ms if rule else 0):
            await asyncio.sleep(latency_ms / 1000)
        return self._response(answer, log)

    async def _answer(
        self, parsed: ParsedRequest, saved: ServiceResponse | None, rule: FaultRule | None
    ) -> ServiceResponse:
        if rule is not None and rule.fault in NEVER_ARRIVED:
            return ServiceResponse(0, "")
        if rule is not None:
            _reject(rule.fault)
        with self._keys.in_use(parsed.key):
            if rule is not None and rule.fault is Fault.HOLD:
                await rule.hold()
            if saved is not None:
                return saved
            return self._act(parsed, fails=rule is not None and rule.fault is Fault.ERROR_AFTER)

    def _act(self, parsed: ParsedRequest, *, fails: bool) -> ServiceResponse:
        now = self.clock.now()
        body: dict[str, Any] = dict(parsed.rule.answer)
        answer = ServiceResponse(parsed.rule.status, encode(body))
        if fails:
            answer = ServiceResponse(HTTPStatus.INTERNAL_SERVER_ERROR, encode({"code": "error"}))
        if parsed.method not in READS:
            self.act_log.add(
                Act(
                    now,
                    parsed.rule.operation,
                    parsed.path,
                    parsed.key,
                    parsed.content,
                    parsed.rule.status,
                    body,
                )
            )
        if parsed.key is not None:
            self._keys.save(
                SavedResponse(
                    parsed.key, now, parsed.path, parsed.fingerprint, answer.status, answer.body, ""
                )
            )
        return answer

    def _read(self, request: Request) -> ParsedRequest:
        """Raises Rejected if the body is not a JSON object, or if no rule fits."""
        try:
            content = json.loads(request.body or b"{}")
        except ValueError:
            raise Rejected(HTTPStatus.BAD_REQUEST, "not_json") from None
        if not isinstance(content, dict):
            raise Rejected(HTTPStatus.BAD_REQUEST, "not_an_object")
        rule = self.rules.find(request.method, request.path, content)
        if rule is None:
            raise Rejected(HTTPStatus.NOT_FOUND, "no_rule_fits")
        key = None if request.method in READS else request.headers.get("idempotency-key")
        return ParsedRequest(request.method, request.path, key, content, rule)

    def _find_saved(self, parsed: ParsedRequest) -> ServiceResponse | None:
        if parsed.key is None:
            return None
        try:
            saved = self._keys.find(
                parsed.key, path=parsed.path, fingerprint=parsed.fingerprint, now=self.clock.now()
            )
        except KeyTooLong:
            raise Rejected(HTTPStatus.BAD_REQUEST, "key_too_long") from None
        except KeyInUse:
            raise Rejected(HTTPStatus.CONFLICT, "key_in_use") from None
        except KeyReused:
            raise Rejected(HTTPStatus.UNPROCESSABLE_ENTITY, "key_reused") from None
        return None if saved is None else ServiceResponse(saved.status, saved.body, replayed=True)

    def _response(self, answer: ServiceResponse, log: LoggedCall) -> Response:
        delivery = DELIVERIES.get(log.fault, Delivery.WHOLE)
        if delivery in {Delivery.WHOLE, Delivery.HALF}:
            log.status = answer.status
        log.replayed = answer.replayed
        self._calls.append(log)
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
        return Response(answer.status, answer.body.encode(), headers, delivery)


_REJECTIONS: Final = {
    Fault.ERROR_BEFORE: (HTTPStatus.INTERNAL_SERVER_ERROR, "error"),
    Fault.RATE_LIMIT: (HTTPStatus.TOO_MANY_REQUESTS, "rate_limit"),
    Fault.LOCK_TIMEOUT: (HTTPStatus.TOO_MANY_REQUESTS, "lock_timeout"),
    Fault.CONFLICT: (HTTPStatus.CONFLICT, "key_in_use"),
    Fault.REFUSE_KEY: (HTTPStatus.UNAUTHORIZED, "unauthorized"),
    Fault.DECLINE: (HTTPStatus.UNPROCESSABLE_ENTITY, "declined"),
}


def _reject(fault: Fault) -> None:
    if fault in _REJECTIONS:
        raise Rejected(*_REJECTIONS[fault])
