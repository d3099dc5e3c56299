"""Runs a state machine against a seeded bug, and counts the examples until it fails."""

from collections.abc import Callable

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

MAX_EXAMPLES = 300


def examples_until_it_fails(machine: Callable[[], RuleBasedStateMachine], *, steps: int) -> int:
    """Run examples until one fails. Returns how many ran; 0 when all MAX_EXAMPLES passed."""
    tried = 0

    def next_example() -> RuleBasedStateMachine:
        nonlocal tried
        tried += 1
        return machine()

    effort = settings(
        max_examples=MAX_EXAMPLES,
        stateful_step_count=steps,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    try:
        run_state_machine_as_test(next_example, settings=effort)  # type: ignore[arg-type]  # any callable works
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure counts
        return tried
    return 0
