"""Fault rules: they make matching calls fail in the ways in which networks and services fail."""

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
    """How a call fails. "Before" and "after" say whether it fails before or after its effect."""

    LATENCY = "latency"  # the real response, late
    ERROR_BEFORE = "error_before"  # 500, not saved under the key
    ERROR_AFTER = "error_after"  # 500, saved under the key
    TIMEOUT_BEFORE = "timeout_before"  # no response
    TIMEOUT_AFTER = "timeout_after"
    RATE_LIMIT = "rate_limit"  # 429, no effect
    LOCK_TIMEOUT = "lock_timeout"  # 429 with another code, no effect
    CONFLICT = "conflict"  # 409, as if a request with the same key were running; no effect
    REFUSE_KEY = "refuse_key"  # 401, as if the API key were revoked; no effect
    DECLINE = "decline"  # a business rejection: at Stripe, any card is declined
    TRUNCATED_BODY = "truncated_body"  # with its effect, but only half of the response arrives
    RESET_BEFORE = "reset_before"  # the connection is reset
    RESET_AFTER = "reset_after"
    HOLD = "hold"  # waits before its effect until it is released; its key stays in use
    HOLD_AFTER = "hold_after"  # with its effect, but the response waits until it is released


DELIVERIES: Final[Mapping[Fault | None, Delivery]] = {
    Fault.TIMEOUT_BEFORE: Delivery.NONE,
    Fault.TIMEOUT_AFTER: Delivery.NONE,
    Fault.RESET_BEFORE: Delivery.RESET,
    Fault.RESET_AFTER: Delivery.RESET,
    Fault.TRUNCATED_BODY: Delivery.HALF,
}
"""How a response is delivered under these faults; whole under every other."""

NEVER_ARRIVED: Final = frozenset({Fault.TIMEOUT_BEFORE, Fault.RESET_BEFORE})
"""Under these faults the service does nothing and sends no response."""


class RuleInvalid(ValueError):
    """A rule that cannot work."""


@dataclass
class FaultRule:
    """One fault for matching calls.

    ``times`` is how many more calls it hits; None means no limit. ``note`` is shown to people.
    """

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

    def applies_to(self, operation: str, fields: Mapping[str, object]) -> bool:
        return (
            self.times != 0
            and fnmatchcase(operation, self.operation)
            and all(str(fields.get(name)) == str(value) for name, value in self.match.items())
        )

    async def hold(self) -> None:
        """Wait for the next release."""
        self.held += 1
        try:
            await self.gate.wait()
        finally:
            self.held -= 1

    def release(self) -> None:
        """Continue all held calls. Later calls are held again."""
        self.gate.set()
        self.gate = asyncio.Event()

    def retire(self) -> None:
        """Continue all held calls, and hold no later call."""
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
    """The rules in force, in the order in which they are tried. A restart loses them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a seeded generator is wanted
        self._rules: dict[int, FaultRule] = {}
        self._last_id = 0
        self.latency_ms = 0
        """Delays every response, whether or not a rule applies."""

    def add(self, fields: Mapping[str, object], *, first: bool = False) -> FaultRule:
        """Add a rule after all others, or before them with ``first``. Raises ``RuleInvalid``."""
        allowed = {"operation", "fault", "match", "latency_ms", "rate", "times", "note"}
        if unknown := sorted(fields.keys() - allowed):
            raise RuleInvalid(f"unknown fields: {', '.join(unknown)}")
        match = fields.get("match", {})
        if not isinstance(match, dict):
            raise RuleInvalid("match is not an object")
        times = fields.get("times")
        rule = FaultRule(
            id=self._last_id + 1,
            operation=str(fields.get("operation", "*")),
            fault=_fault(fields.get("fault")),
            match=match,
            latency_ms=_number(fields, "latency_ms", 0, most=600_000),
            rate=_number(fields, "rate", 1.0, most=1),
            times=None if times is None else _number(fields, "times", 0, most=10**9),
            note=str(fields.get("note", "")),
        )
        self._last_id = rule.id
        added = {rule.id: rule}
        self._rules = added | self._rules if first else self._rules | added
        return rule

    def choose(self, operation: str, fields: Mapping[str, object]) -> FaultRule | None:
        """Return the first rule that applies, by chance if its rate is below 1, and count the hit."""
        for rule in self._rules.values():
            if rule.applies_to(operation, fields) and self._random.random() < rule.rate:
                rule.hits += 1
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None

    @property
    def is_empty(self) -> bool:
        return not self._rules

    def __iter__(self) -> Iterator[FaultRule]:
        return iter(self._rules.values())

    def get(self, rule_id: int) -> FaultRule | None:
        return self._rules.get(rule_id)

    def remove(self, rule_id: int) -> bool:
        """Remove a rule, and let its held calls continue. Returns False if there is no such rule."""
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


def _number(fields: Mapping[str, object], name: str, default: N, *, most: int) -> N:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise RuleInvalid(f"{name} is not a number from 0 to {most}")
    return type(default)(value)
