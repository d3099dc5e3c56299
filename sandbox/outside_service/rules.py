"""The rules that decide which request gets which answer. They are tried in order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Final

from sandbox.http_service.faults import RuleInvalid

METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "*"})


@dataclass(frozen=True)
class AnswerRule:
    """Requests that fit the rule get its answer.

    ``operation`` names them in fault rules, call log and log of acts. ``path`` may contain ``*``.
    ``match`` has the values that members of the request's body must have.
    """

    operation: str
    path: str = "*"
    method: str = "POST"
    match: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    answer: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, method: str, path: str, body: Mapping[str, Any]) -> bool:
        return (
            self.method in {method, "*"}
            and fnmatchcase(path, self.path)
            and all(body.get(name) == value for name, value in self.match.items())
        )

    def description(self) -> dict[str, Any]:
        return asdict(self)


DEFAULT_RULE: Final = AnswerRule("ask", method="*", answer={"status": "ok"})
"""The rule of a service without rules: it accepts every request."""


class AnswerRules:
    """The rules in force. The first one that fits answers."""

    def __init__(self, rules: Iterable[AnswerRule]) -> None:
        self._initial = list(rules) or [DEFAULT_RULE]
        self._rules = list(self._initial)

    def add(self, fields: Mapping[str, Any]) -> AnswerRule:
        """Add a rule before all others. Raises RuleInvalid."""
        rule = parse(fields)
        self._rules.insert(0, rule)
        return rule

    def reset(self) -> None:
        """Remove all rules that were added."""
        self._rules = list(self._initial)

    def find(self, method: str, path: str, body: Mapping[str, Any]) -> AnswerRule | None:
        return next((rule for rule in self._rules if rule.fits(method, path, body)), None)

    def __iter__(self) -> Iterator[AnswerRule]:
        return iter(self._rules)


def parse(fields: Mapping[str, Any]) -> AnswerRule:
    """Read a rule from JSON. Raises RuleInvalid if it cannot work."""
    if fields.get("method", "POST") not in METHODS:
        raise RuleInvalid(f"unknown method: {fields['method']}")
    if not all(isinstance(fields.get(name, {}), dict) for name in ("match", "answer")):
        raise RuleInvalid("match and answer are objects")
    if fields.get("status", HTTPStatus.OK) not in list(HTTPStatus):
        raise RuleInvalid(f"not a status: {fields['status']}")
    try:
        return AnswerRule(**fields)
    except TypeError as error:
        raise RuleInvalid(f"not a rule: {error}") from None
