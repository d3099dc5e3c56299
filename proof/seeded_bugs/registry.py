"""The seeded bugs by name. Each is a function that breaks the process in which it is called."""

import inspect
from collections.abc import Callable, Mapping
from typing import Final

from proof.seeded_bugs.engine import (
    compensated_from_memory,
    journalled_after_the_call,
    leased_by_the_workers_clock,
    published_before_commit,
    settled_without_the_fence,
    sweep_passes_compensating_runs_over,
    wish_never_looked_at,
)
from proof.seeded_bugs.money import (
    cancelled_without_the_bank,
    fresh_key_for_each_attempt,
    intent_id_stored_after_confirming,
    refund_without_looking,
    timeout_taken_for_failure,
)
from proof.seeded_bugs.records import (
    facts_recorded_after_commit,
    idempotency_key_stored_after_the_order,
)
from proof.seeded_bugs.stock import release_not_repeatable, stock_outside_the_transaction

Bug = Callable[[], None]

BUGS: Final[Mapping[str, Bug]] = {
    each.__name__: each
    for each in (
        fresh_key_for_each_attempt,
        timeout_taken_for_failure,
        intent_id_stored_after_confirming,
        cancelled_without_the_bank,
        refund_without_looking,
        stock_outside_the_transaction,
        release_not_repeatable,
        settled_without_the_fence,
        journalled_after_the_call,
        compensated_from_memory,
        leased_by_the_workers_clock,
        wish_never_looked_at,
        published_before_commit,
        sweep_passes_compensating_runs_over,
        idempotency_key_stored_after_the_order,
        facts_recorded_after_commit,
    )
}


def sentence(bug: Bug) -> str:
    """Return what is wrong with the code that has ``bug``."""
    return inspect.getdoc(bug) or ""
