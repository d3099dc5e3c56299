"""/_sandbox: faults, latency, the clock, and what the sandbox knows; for tests and demonstrations."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from sandbox.stripe_api.bank import Bank
from sandbox.stripe_api.call_log import CallLog
from sandbox.stripe_api.faults import FaultMenu, RuleInvalid
from sandbox.stripe_api.http_server import Request, Response
from sandbox.stripe_api.json_values import JsonObject, encode

PREFIX = "/_sandbox/"


class ControlRefused(ValueError):
    """The control request cannot be carried out."""


class Control:
    """Takes JSON and answers JSON; needs no key, since only this machine can reach it."""

    def __init__(self, bank: Bank, faults: FaultMenu, calls: CallLog) -> None:
        self._bank = bank
        self._faults = faults
        self._calls = calls
        self._actions: Mapping[tuple[str, str], Callable[[Request], JsonObject]] = {
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "release"): self._release,
            ("POST", "latency"): self._set_latency,
            ("POST", "clock"): self._advance_clock,
            ("GET", "ledger"): self._ledger,
            ("DELETE", "ledger"): self._start_over,
            ("GET", "calls"): self._calls_since,
        }

    async def respond(self, request: Request) -> Response:
        action, _, rule_id = request.path.removeprefix(PREFIX).partition("/")
        try:
            if request.method == "DELETE" and rule_id:
                body = self._remove_fault(rule_id)
            elif rule_id or (request.method, action) not in self._actions:
                return _json(HTTPStatus.NOT_FOUND, {"error": f"no such control: {action}"})
            else:
                self._bank.pass_time()
                await self._bank.ledger.durable()
                body = self._actions[request.method, action](request)
        except (ControlRefused, RuleInvalid) as error:
            return _json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        await self._bank.ledger.durable()
        return _json(HTTPStatus.OK, body)

    def _list_faults(self, _: Request) -> JsonObject:
        rules = [rule.description() for rule in self._faults]
        return {"rules": rules, "latency_ms": self._faults.latency_ms}

    def _add_fault(self, request: Request) -> JsonObject:
        return self._faults.add(_body(request)).description()

    def _clear_faults(self, _: Request) -> JsonObject:
        self._faults.clear()
        return {"rules": []}

    def _remove_fault(self, rule_id: str) -> JsonObject:
        if not rule_id.isdecimal() or not self._faults.remove(int(rule_id)):
            raise ControlRefused(f"no such rule: {rule_id}")
        return {"removed": int(rule_id)}

    def _release(self, request: Request) -> JsonObject:
        rule = self._faults.get(_integer(request, "rule"))
        if rule is None:
            raise ControlRefused("no such rule")
        released = rule.held
        rule.release()
        return {"released": released}

    def _set_latency(self, request: Request) -> JsonObject:
        self._faults.latency_ms = _integer(request, "ms")
        return {"ms": self._faults.latency_ms}

    def _advance_clock(self, request: Request) -> JsonObject:
        self._bank.advance_clock(_integer(request, "advance_seconds"))
        return {"now": self._bank.clock.now()}

    def _ledger(self, _: Request) -> JsonObject:
        account, ledger = self._bank.account, self._bank.ledger
        return {
            "now": self._bank.clock.now(),
            "payment_intents": [vars(intent) for intent in account.intents],
            "charges": [vars(charge) for charge in account.charges],
            "refunds": [vars(refund) for refund in account.refunds],
            "entries": ledger.appended,
            "syncs": ledger.syncs,
        }

    def _start_over(self, _: Request) -> JsonObject:
        if not self._bank.ledger.is_durable:
            raise ControlRefused("a call is on its way to the disk")
        self._faults.clear()
        self._faults.latency_ms = 0
        self._calls.clear()
        self._bank.start_over()
        return {}

    def _calls_since(self, request: Request) -> JsonObject:
        number = parse_qs(request.query.decode()).get("since", ["0"])[0]
        if not number.isdecimal():
            raise ControlRefused("since is not a number")
        return {"calls": self._calls.since(int(number)), "last": self._calls.last}


def _body(request: Request) -> Mapping[str, object]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise ControlRefused("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ControlRefused("the body is not an object")
    return body


def _integer(request: Request, name: str) -> int:
    value = _body(request).get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ControlRefused(f"{name} is not a whole number")
    return value


def _json(status: HTTPStatus, body: JsonObject) -> Response:
    return Response(status, encode(body).encode())
