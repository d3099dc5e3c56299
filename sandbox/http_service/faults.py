"""The fault menu: rules that make matching calls fail as networks and services fail."""

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final, TypeVar

from sandbox.http_service.http_server import Delivery
from sandbox.http_service.json_values import JsonObject


class Fault(StrEnum):
    """How a call fails. "Before" means that nothing was done, "after" that it all was."""

    LATENCY = "latency"  # the real answer, late
    ERROR_BEFORE = "error_before"  # 500, not saved under the key
    ERROR_AFTER = "error_after"  # 500, saved under the key
    TIMEOUT_BEFORE = "timeout_before"  # no answer
    TIMEOUT_AFTER = "timeout_after"
    RATE_LIMIT = "rate_limit"  # 429, nothing done
    LOCK_TIMEOUT = "lock_timeout"  # 429 of another kind, nothing done
    CONFLICT = "conflict"  # 409, as if a twin were in flight; nothing done
    REFUSE_KEY = "refuse_key"  # 401, as if the API key had been revoked; nothing done
    DECLINE = "decline"  # understood and refused: at Stripe, a decline of any card
    TRUNCATED_BODY = "truncated_body"  # done, but only half of the answer arrives
    RESET_BEFORE = "reset_before"  # the connection is reset
    RESET_AFTER = "reset_after"
    HOLD = "hold"  # stopped before anything is done, until released; its key stays in use
    HOLD_AFTER = "hold_after"  # done, but the answer waits to be released


DELIVERIES: Final[Mapping[Fault | None, Delivery]] = {
    Fault.TIMEOUT_BEFORE: Delivery.NONE,
    Fault.TIMEOUT_AFTER: Delivery.NONE,
    Fault.RESET_BEFORE: Delivery.RESET,
    Fault.RESET_AFTER: Delivery.RESET,
    Fault.TRUNCATED_BODY: Delivery.HALF,
}
"""How an answer leaves under a fault; whole under any other."""

NEVER_ARRIVED: Final = frozenset({Fault.TIMEOUT_BEFORE, Fault.RESET_BEFORE})
"""The service does nothing, and writes no answer."""


class RuleInvalid(ValueError):
    """A rule that could never work."""


@dataclass
class Rule:
    """``times`` is how often it may still strike; None is without limit. ``note`` is for people."""

    id: int
    operation: str
    fault: Fault
    match: Mapping[str, object] = field(default_factory=dict)
    latency_ms: int = 0
    rate: float = 1.0
    times: int | None = None
    hits: int = 0
    held: int = 0
    note: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def applies_to(self, operation: str, facts: Mapping[str, object]) -> bool:
        return (
            self.times != 0
            and fnmatchcase(operation, self.operation)
            and all(str(facts.get(name)) == str(value) for name, value in self.match.items())
        )

    async def hold(self) -> None:
        """Wait for the next release."""
        self.held += 1
        try:
            await self.gate.wait()
        finally:
            self.held -= 1

    def release(self) -> None:
        """Let everything go that is held now; what comes later is held again."""
        self.gate.set()
        self.gate = asyncio.Event()

    def retire(self) -> None:
        """Let everything go, also what is still on its way to being held."""
        self.gate.set()

    def description(self) -> JsonObject:
        return {
            "id": self.id,
            "operation": self.operation,
            "fault": self.fault,
            "match": dict(self.match),
            "latency_ms": self.latency_ms,
            "rate": self.rate,
            "times": self.times,
            "hits": self.hits,
            "held": self.held,
            "note": self.note,
        }


class FaultMenu:
    """The rules in force, in the order in which they are tried. They are not kept: a restart clears them."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - chance that can be repeated
        self._rules: dict[int, Rule] = {}
        self._last_id = 0
        self.latency_ms = 0
        """Added to every answer, whether or not a rule strikes."""

    def add(self, described: Mapping[str, object], *, before_all: bool = False) -> Rule:
        """Put a rule behind the others, or before them. Raises ``RuleInvalid``."""
        allowed = {"operation", "fault", "match", "latency_ms", "rate", "times", "note"}
        if unknown := sorted(described.keys() - allowed):
            raise RuleInvalid(f"unknown fields: {', '.join(unknown)}")
        match = described.get("match", {})
        if not isinstance(match, dict):
            raise RuleInvalid("match is not an object")
        times = described.get("times")
        rule = Rule(
            id=self._last_id + 1,
            operation=str(described.get("operation", "*")),
            fault=_fault(described.get("fault")),
            match=match,
            latency_ms=_number(described, "latency_ms", 0, most=600_000),
            rate=_number(described, "rate", 1.0, most=1),
            times=None if times is None else _number(described, "times", 0, most=10**9),
            note=str(described.get("note", "")),
        )
        self._last_id = rule.id
        added = {rule.id: rule}
        self._rules = added | self._rules if before_all else self._rules | added
        return rule

    def draw(self, operation: str, facts: Mapping[str, object]) -> Rule | None:
        """The first rule that applies and whose die falls, counted as a hit."""
        for rule in self._rules.values():
            if rule.applies_to(operation, facts) and self._dice.random() < rule.rate:
                rule.hits += 1
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None

    @property
    def is_empty(self) -> bool:
        return not self._rules

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules.values())

    def get(self, rule_id: int) -> Rule | None:
        return self._rules.get(rule_id)

    def remove(self, rule_id: int) -> bool:
        """Take a rule off the menu, and let go of what it holds."""
        rule = self._rules.pop(rule_id, None)
        if rule is not None:
            rule.retire()
        return rule is not None

    def clear(self) -> None:
        for rule_id in list(self._rules):
            self.remove(rule_id)


def _fault(name: object) -> Fault:
    try:
        return Fault(str(name))
    except ValueError as error:
        raise RuleInvalid(f"unknown fault: {name}") from error


N = TypeVar("N", int, float)


def _number(described: Mapping[str, object], name: str, default: N, *, most: int) -> N:
    value = described.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise RuleInvalid(f"{name} is not a number from 0 to {most}")
    return type(default)(value)
