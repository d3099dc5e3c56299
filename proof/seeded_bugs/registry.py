"""The seeded bugs by name, and where each must be found."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from proof.points import Mode
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
    cancelled_without_the_provider,
    fresh_key_for_each_attempt,
    provider_payment_id_stored_after_confirming,
    refund_without_looking,
    timeout_taken_for_failure,
)
from proof.seeded_bugs.records import (
    facts_recorded_after_commit,
    idempotency_key_stored_after_the_order,
)
from proof.seeded_bugs.stock import release_not_repeatable, stock_outside_the_transaction


@dataclass(frozen=True)
class Bug:
    """Breaks the process in which it is called; and where that is sure to show.

    ``point`` and ``mode`` name the fault of that scenario which brings it to light; without them it
    shows where nothing is struck.
    """

    patch: Callable[[], None]
    scenario: str
    point: str = ""
    mode: Mode | None = None

    def __call__(self) -> None:
        self.patch()

    @property
    def name(self) -> str:
        return self.patch.__name__

    @property
    def sentence(self) -> str:
        """What is wrong with the code that has this bug."""
        return inspect.getdoc(self.patch) or ""


BUGS: Final[Mapping[str, Bug]] = {
    each.name: each
    for each in (
        Bug(fresh_key_for_each_attempt, "create-unanswered"),
        Bug(timeout_taken_for_failure, "unknown-resolved-to-paid"),
        Bug(
            provider_payment_id_stored_after_confirming,
            "cancelled-during-the-charge",
            "*/http/stripe.confirm_payment/*",
            Mode.KILL_AFTER,
        ),
        Bug(cancelled_without_the_provider, "cancelled-after-the-charge"),
        Bug(refund_without_looking, "refund-unanswered"),
        Bug(stock_outside_the_transaction, "paid", "worker/*/commit/*sagas_*", Mode.KILL_BEFORE),
        Bug(
            release_not_repeatable,
            "declined",
            "*/*.compensate/commit/*orders_ordertransition*",
            Mode.KILL_BEFORE,
        ),
        Bug(settled_without_the_fence, "zombie-wakes-halfway"),
        Bug(
            journalled_after_the_call,
            "cancelled-during-the-charge",
            "*/http/stripe.confirm_payment/*",
            Mode.KILL_AFTER,
        ),
        Bug(compensated_from_memory, "cancelled-after-the-charge"),
        Bug(
            leased_by_the_workers_clock, "paid", "*/http/stripe.confirm_payment/*", Mode.KILL_AFTER
        ),
        Bug(wish_never_looked_at, "cancelled-during-the-charge"),
        Bug(published_before_commit, "paid", "storefront/*/commit/*", Mode.KILL_BEFORE),
        Bug(
            sweep_passes_compensating_runs_over,
            "declined",
            "*/publish/*.compensate/*",
            Mode.ERROR_BEFORE,
        ),
        Bug(
            idempotency_key_stored_after_the_order,
            "paid",
            "storefront/*/commit/orders_idempotencyrecord/*",
            Mode.KILL_BEFORE,
        ),
        Bug(
            facts_recorded_after_commit,
            "paid",
            "*/*.capture_payment/on-commit/*",
            Mode.KILL_BEFORE,
        ),
    )
}
