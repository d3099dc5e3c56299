"""Which question gets which answer: a small table, tried from the top."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Final

from sandbox.http_service.faults import RuleInvalid

METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "*"})


@dataclass(frozen=True)
class AnswerRule:
    """One line of the table: questions that fit get this answer.

    ``operation`` is the name under which fault rules, call log and book know them. ``path`` may
    hold ``*``. ``match`` names members of the question and the values they must have.
    """

    operation: str
    path: str = "*"
    method: str = "POST"
    match: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    answer: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, method: str, path: str, question: Mapping[str, Any]) -> bool:
        return (
            self.method in {method, "*"}
            and fnmatchcase(path, self.path)
            and all(question.get(name) == value for name, value in self.match.items())
        )

    def description(self) -> dict[str, Any]:
        return asdict(self)


ANYTHING: Final = AnswerRule("ask", method="*", answer={"status": "ok"})
"""The table of a service that has none of its own: it accepts every question."""


class AnswerRules:
    """The table in force. The first line that fits answers."""

    def __init__(self, rules: Iterable[AnswerRule]) -> None:
        self._initial = list(rules) or [ANYTHING]
        self._rules = list(self._initial)

    def add(self, described: Mapping[str, Any]) -> AnswerRule:
        """Put a line above all others. Raises RuleInvalid."""
        rule = parse(described)
        self._rules.insert(0, rule)
        return rule

    def reset(self) -> None:
        """Go back to the lines of the start."""
        self._rules = list(self._initial)

    def find(self, method: str, path: str, question: Mapping[str, Any]) -> AnswerRule | None:
        return next((rule for rule in self._rules if rule.fits(method, path, question)), None)

    def __iter__(self) -> Iterator[AnswerRule]:
        return iter(self._rules)


def parse(described: Mapping[str, Any]) -> AnswerRule:
    """Read a line from JSON. Raises RuleInvalid for one that could never work."""
    if described.get("method", "POST") not in METHODS:
        raise RuleInvalid(f"unknown method: {described['method']}")
    if not all(isinstance(described.get(name, {}), dict) for name in ("match", "answer")):
        raise RuleInvalid("match and answer are objects")
    if described.get("status", HTTPStatus.OK) not in list(HTTPStatus):
        raise RuleInvalid(f"not a status: {described['status']}")
    try:
        return AnswerRule(**described)
    except TypeError as error:
        raise RuleInvalid(f"not a rule: {error}") from None
