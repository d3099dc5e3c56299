"""The controls of an outside service under /_sandbox, with its answer rules and its log of acts."""

from collections.abc import Mapping

from sandbox.http_service.call_log import CallLog
from sandbox.http_service.control import Action, Control, json_body
from sandbox.http_service.faults import FaultMenu
from sandbox.http_service.http_server import Request
from sandbox.http_service.json_values import JsonObject
from sandbox.outside_service.api import Api


class ServiceControl(Control):
    def __init__(self, api: Api, faults: FaultMenu, calls: CallLog) -> None:
        super().__init__(faults, calls)
        self._api = api

    def own_actions(self) -> Mapping[tuple[str, str], Action]:
        return {
            ("GET", "rules"): self._list_rules,
            ("POST", "rules"): self._add_rule,
            ("DELETE", "rules"): self._reset_rules,
        }

    def advance_clock(self, seconds: int) -> int:
        self._api.clock.advance(seconds)
        return self._api.clock.now()

    def ledger(self) -> JsonObject:
        return {"now": self._api.clock.now(), "acts": self._api.act_log.entries()}

    def start_over(self) -> None:
        self._api.start_over()

    def _list_rules(self, _: Request) -> JsonObject:
        return {"rules": [rule.description() for rule in self._api.rules]}

    def _add_rule(self, request: Request) -> JsonObject:
        return self._api.rules.add(json_body(request)).description()

    def _reset_rules(self, request: Request) -> JsonObject:
        self._api.rules.reset()
        return self._list_rules(request)
