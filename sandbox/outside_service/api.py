"""The life of one question: its key, its fault, the line of the table that answers, the book."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from sandbox.http_service.call_log import CallLog, LoggedCall
from sandbox.http_service.clock import Clock
from sandbox.http_service.faults import DELIVERIES, NEVER_ARRIVED, Fault, FaultMenu, Rule
from sandbox.http_service.http_server import Delivery, Request, Response
from sandbox.http_service.idempotency import (
    IdempotencyKeys,
    KeyInUse,
    KeyReused,
    KeyTooLong,
    SavedAnswer,
    fingerprint_of,
)
from sandbox.http_service.json_values import encode
from sandbox.outside_service.book import Act, Book
from sandbox.outside_service.rules import AnswerRule, AnswerRules

READS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    replayed: bool = False


class Refused(Exception):
    """The service answers with an error, and does nothing."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.answer = Answer(status, encode({"code": code}))


@dataclass(frozen=True)
class Asked:
    """A question that the service understands, before anything was done about it."""

    method: str
    path: str
    key: str | None
    question: Mapping[str, Any]
    rule: AnswerRule

    @property
    def fingerprint(self) -> str:
        return fingerprint_of([("question", encode(dict(self.question)))])


class Api:
    """Acts on each question at most once per idempotency key, and writes every act into the book.

    The key is optional, as with most services: without one a repeated question acts again.
    """

    def __init__(self, rules: AnswerRules, faults: FaultMenu, calls: CallLog) -> None:
        self.rules = rules
        self._faults = faults
        self._calls = calls
        self.start_over()

    def start_over(self) -> None:
        """Be as at the start: without keys, acts and rules that came later."""
        self.rules.reset()
        self.book = Book()
        self.clock = Clock()
        self._keys = IdempotencyKeys()

    async def respond(self, request: Request) -> Response:
        log = LoggedCall(key=request.headers.get("idempotency-key"))
        rule: Rule | None = None
        try:
            asked = self._read(request)
            log.operation = asked.rule.operation
            saved = self._find_saved(asked)
            rule = self._faults.draw(asked.rule.operation, asked.question)
            answer = await self._answer(asked, saved, rule)
        except Refused as refused:
            answer = refused.answer
        if rule is not None:
            log.fault = rule.fault
        if rule is not None and rule.fault is Fault.HOLD_AFTER:
            await rule.hold()
        if latency_ms := self._faults.latency_ms + (rule.latency_ms if rule else 0):
            await asyncio.sleep(latency_ms / 1000)
        return self._response(answer, log)

    async def _answer(self, asked: Asked, saved: Answer | None, rule: Rule | None) -> Answer:
        if rule is not None and rule.fault in NEVER_ARRIVED:
            return Answer(0, "")
        if rule is not None:
            _refuse(rule.fault)
        with self._keys.in_use(asked.key):
            if rule is not None and rule.fault is Fault.HOLD:
                await rule.hold()
            if saved is not None:
                return saved
            return self._act(asked, fails=rule is not None and rule.fault is Fault.ERROR_AFTER)

    def _act(self, asked: Asked, *, fails: bool) -> Answer:
        now = self.clock.now()
        body: dict[str, Any] = dict(asked.rule.answer)
        answer = Answer(asked.rule.status, encode(body))
        if fails:
            answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, encode({"code": "error"}))
        if asked.method not in READS:
            self.book.add(
                Act(
                    now,
                    asked.rule.operation,
                    asked.path,
                    asked.key,
                    asked.question,
                    asked.rule.status,
                    body,
                )
            )
        if asked.key is not None:
            self._keys.save(
                SavedAnswer(
                    asked.key, now, asked.path, asked.fingerprint, answer.status, answer.body, ""
                )
            )
        return answer

    def _read(self, request: Request) -> Asked:
        """Raises Refused for a body that is no JSON object, and where no line of the table fits."""
        try:
            question = json.loads(request.body or b"{}")
        except ValueError:
            raise Refused(HTTPStatus.BAD_REQUEST, "not_json") from None
        if not isinstance(question, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "not_an_object")
        rule = self.rules.find(request.method, request.path, question)
        if rule is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no_rule_fits")
        key = None if request.method in READS else request.headers.get("idempotency-key")
        return Asked(request.method, request.path, key, question, rule)

    def _find_saved(self, asked: Asked) -> Answer | None:
        if asked.key is None:
            return None
        try:
            saved = self._keys.find(
                asked.key, path=asked.path, fingerprint=asked.fingerprint, now=self.clock.now()
            )
        except KeyTooLong:
            raise Refused(HTTPStatus.BAD_REQUEST, "key_too_long") from None
        except KeyInUse:
            raise Refused(HTTPStatus.CONFLICT, "key_in_use") from None
        except KeyReused:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "key_reused") from None
        return None if saved is None else Answer(saved.status, saved.body, replayed=True)

    def _response(self, answer: Answer, log: LoggedCall) -> Response:
        delivery = DELIVERIES.get(log.fault, Delivery.WHOLE)
        if delivery in {Delivery.WHOLE, Delivery.HALF}:
            log.status = answer.status
        log.replayed = answer.replayed
        self._calls.append(log)
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
        return Response(answer.status, answer.body.encode(), headers, delivery)


_REFUSALS: Final = {
    Fault.ERROR_BEFORE: (HTTPStatus.INTERNAL_SERVER_ERROR, "error"),
    Fault.RATE_LIMIT: (HTTPStatus.TOO_MANY_REQUESTS, "rate_limit"),
    Fault.LOCK_TIMEOUT: (HTTPStatus.TOO_MANY_REQUESTS, "lock_timeout"),
    Fault.CONFLICT: (HTTPStatus.CONFLICT, "key_in_use"),
    Fault.REFUSE_KEY: (HTTPStatus.UNAUTHORIZED, "unauthorized"),
    Fault.DECLINE: (HTTPStatus.UNPROCESSABLE_ENTITY, "declined"),
}


def _refuse(fault: Fault) -> None:
    if fault in _REFUSALS:
        raise Refused(*_REFUSALS[fault])
