"""Whether a machine finds a bug that was put there."""

from collections.abc import Callable

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

MOST_EXAMPLES = 300


def examples_until_it_fails(machine: Callable[[], RuleBasedStateMachine], *, steps: int) -> int:
    """Run until the first example that fails, without making it smaller; 0 when none did."""
    tried = 0

    def next_example() -> RuleBasedStateMachine:
        nonlocal tried
        tried += 1
        return machine()

    effort = settings(
        max_examples=MOST_EXAMPLES,
        stateful_step_count=steps,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    try:
        run_state_machine_as_test(next_example, settings=effort)  # type: ignore[arg-type]  # any callable serves
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever gives it away
        return tried
    return 0
