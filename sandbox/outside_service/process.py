"""An outside service as a process of its own, for tests and the proof."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.outside_service.rules import AnswerRule
from sandbox.service_process import ServiceProcess


class OutsideServiceProcess(ServiceProcess):
    """One service. Its log of acts and its keys are lost with the process."""

    def __init__(
        self, name: str, directory: Path, *, rules: Sequence[AnswerRule] = (), seed: int = 0
    ) -> None:
        self._rules = [rule.description() for rule in rules]
        super().__init__(name, directory, seed=seed)

    def program(self) -> list[str]:
        return ["sandbox.outside_service", self.name, "--rules", json.dumps(self._rules)]

    def add_rule(self, **rule: Any) -> None:
        """Add a rule before all others; the arguments are the fields of AnswerRule."""
        self.control("POST", "rules", rule)

    def acts(self) -> Sequence[Mapping[str, Any]]:
        """Return what the service did, oldest first: one entry per effect."""
        acts: list[Mapping[str, Any]] = self.ledger()["acts"]
        return acts

    def records(self) -> list[str]:
        return [json.dumps(act) for act in self.acts()]
