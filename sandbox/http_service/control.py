"""The URLs under /_sandbox: faults, latency, clock and call log of a service."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from sandbox.http_service.call_log import CallLog
from sandbox.http_service.faults import FaultMenu, RuleInvalid
from sandbox.http_service.http_server import Request, Response
from sandbox.http_service.json_values import JsonObject, encode

PREFIX = "/_sandbox/"

Action = Callable[[Request], JsonObject]
ObjectAction = Callable[[str, Request], JsonObject]
"""Takes the id that follows the action's name in the path."""


class ControlRejected(ValueError):
    """The control request is invalid, or cannot be carried out now."""

    def __init__(self, reason: str, *, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.status = status


class Control(ABC):
    """Accepts and returns JSON. Needs no API key: only programs on this machine can reach it.

    Subclasses add actions with ``own_actions``, and actions on one object, whose id is in the path,
    with ``object_actions``.
    """

    def __init__(self, faults: FaultMenu, calls: CallLog) -> None:
        self._faults = faults
        self._calls = calls
        self._actions: Mapping[tuple[str, str], Action] = {
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "release"): self._release,
            ("POST", "latency"): self._set_latency,
            ("POST", "clock"): self._advance_clock,
            ("GET", "ledger"): lambda _: self.ledger(),
            ("DELETE", "ledger"): self._start_over,
            ("GET", "calls"): self._calls_since,
            **self.own_actions(),
        }
        self._object_actions: Mapping[tuple[str, str], ObjectAction] = {
            ("DELETE", "faults"): lambda rule_id, _: self._remove_fault(rule_id),
            **self.object_actions(),
        }

    def own_actions(self) -> Mapping[tuple[str, str], Action]:
        """Return the additional actions of this service, by HTTP method and name."""
        return {}

    def object_actions(self) -> Mapping[tuple[str, str], ObjectAction]:
        """Return the additional actions on one object, by HTTP method and name."""
        return {}

    @abstractmethod
    def advance_clock(self, seconds: int) -> int:
        """Move the service's clock forward, and return its new time."""

    @abstractmethod
    def ledger(self) -> JsonObject:
        """Return everything that the service has recorded."""

    @abstractmethod
    def start_over(self) -> None:
        """Delete everything that the service has recorded. Raises ControlRejected."""

    async def respond(self, request: Request) -> Response:
        name, _, object_id = request.path.removeprefix(PREFIX).partition("/")
        action = (request.method, name)
        try:
            if object_id and action in self._object_actions:
                body = self._object_actions[action](object_id, request)
            elif object_id or action not in self._actions:
                return _json(HTTPStatus.NOT_FOUND, {"error": f"no such control: {name}"})
            else:
                body = self._actions[action](request)
        except ControlRejected as error:
            return _json(error.status, {"error": str(error)})
        except RuleInvalid as error:
            return _json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        return _json(HTTPStatus.OK, body)

    def _list_faults(self, _: Request) -> JsonObject:
        rules = [rule.description() for rule in self._faults]
        return {"rules": rules, "latency_ms": self._faults.latency_ms}

    def _add_fault(self, request: Request) -> JsonObject:
        return self._faults.add(json_body(request)).description()

    def _clear_faults(self, _: Request) -> JsonObject:
        self._faults.clear()
        return {"rules": []}

    def _remove_fault(self, rule_id: str) -> JsonObject:
        if not rule_id.isdecimal() or not self._faults.remove(int(rule_id)):
            raise ControlRejected(f"no such rule: {rule_id}")
        return {"removed": int(rule_id)}

    def _release(self, request: Request) -> JsonObject:
        rule = self._faults.get(_integer(request, "rule"))
        if rule is None:
            raise ControlRejected("no such rule")
        released = rule.held
        rule.release()
        return {"released": released}

    def _set_latency(self, request: Request) -> JsonObject:
        self._faults.latency_ms = _integer(request, "ms")
        return {"ms": self._faults.latency_ms}

    def _advance_clock(self, request: Request) -> JsonObject:
        return {"now": self.advance_clock(_integer(request, "advance_seconds"))}

    def _start_over(self, _: Request) -> JsonObject:
        self.start_over()
        self._faults.clear()
        self._faults.latency_ms = 0
        self._calls.clear()
        return {}

    def _calls_since(self, request: Request) -> JsonObject:
        number = parse_qs(request.query.decode()).get("since", ["0"])[0]
        if not number.isdecimal():
            raise ControlRejected("since is not a number")
        return {"calls": self._calls.since(int(number)), "last": self._calls.last}


def json_body(request: Request) -> Mapping[str, object]:
    """Return the JSON object in a request; an empty one if there is no body. Raises ControlRejected."""
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise ControlRejected("the body is not JSON") from error
    if not isinstance(body, dict):
        raise ControlRejected("the body is not an object")
    return body


def _integer(request: Request, name: str) -> int:
    value = json_body(request).get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ControlRejected(f"{name} is not a whole number")
    return value


def _json(status: HTTPStatus, body: JsonObject) -> Response:
    return Response(status, encode(body).encode())
