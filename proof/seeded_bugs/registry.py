"""The seeded bugs by name, and the scenario in which each must be found."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from proof.points import Mode
from proof.seeded_bugs.engine import (
    attempt_recorded_after_call,
    cancel_request_ignored,
    compensation_kept_in_memory,
    lease_by_worker_clock,
    published_before_commit,
    result_accepted_without_fence,
    sweep_skips_compensating_runs,
)
from proof.seeded_bugs.money import (
    cancelled_without_provider,
    new_key_for_each_attempt,
    payment_id_stored_after_confirming,
    refund_without_lookup,
    timeout_treated_as_decline,
)
from proof.seeded_bugs.records import (
    events_recorded_after_commit,
    key_stored_after_order,
)
from proof.seeded_bugs.stock import release_not_repeatable, stock_outside_transaction
from proof.seeded_bugs.waits import (
    approval_left_open,
    payment_replaced_during_a_look,
    rejection_taken_for_approval,
    replaced_payment_left_open,
)


@dataclass(frozen=True)
class Bug:
    """Breaks the process that calls it, and names the scenario that must have a finding then.

    ``point`` and ``mode`` name the fault with which it shows; without them it shows without a fault.
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
    def description(self) -> str:
        """Return what the broken code does wrong, in one sentence."""
        return inspect.getdoc(self.patch) or ""


BUGS: Final[Mapping[str, Bug]] = {
    bug.name: bug
    for bug in (
        Bug(new_key_for_each_attempt, "create-unanswered"),
        Bug(timeout_treated_as_decline, "unknown-resolved-to-paid"),
        Bug(
            payment_id_stored_after_confirming,
            "cancelled-during-the-charge",
            "*/http/stripe.confirm_payment/*",
            Mode.KILL_AFTER,
        ),
        Bug(cancelled_without_provider, "cancelled-after-the-charge"),
        Bug(refund_without_lookup, "refund-unanswered"),
        Bug(stock_outside_transaction, "paid", "worker/*/commit/*sagas_*", Mode.KILL_BEFORE),
        Bug(
            release_not_repeatable,
            "declined",
            "*/*.compensate/commit/*orders_ordertransition*",
            Mode.KILL_BEFORE,
        ),
        Bug(result_accepted_without_fence, "zombie-wakes-halfway"),
        Bug(
            attempt_recorded_after_call,
            "cancelled-during-the-charge",
            "*/http/stripe.confirm_payment/*",
            Mode.KILL_AFTER,
        ),
        Bug(compensation_kept_in_memory, "cancelled-after-the-charge"),
        Bug(lease_by_worker_clock, "paid", "*/http/stripe.confirm_payment/*", Mode.KILL_AFTER),
        Bug(cancel_request_ignored, "cancelled-during-the-charge"),
        Bug(published_before_commit, "paid", "storefront/*/commit/*", Mode.KILL_BEFORE),
        Bug(
            sweep_skips_compensating_runs,
            "declined",
            "*/publish/*.compensate/*",
            Mode.ERROR_BEFORE,
        ),
        Bug(
            key_stored_after_order,
            "paid",
            "storefront/*/commit/orders_idempotencyrecord/*",
            Mode.KILL_BEFORE,
        ),
        Bug(
            events_recorded_after_commit,
            "paid",
            "*/*.capture_payment/on-commit/*",
            Mode.KILL_BEFORE,
        ),
        Bug(replaced_payment_left_open, "authentication-failed-then-another-card"),
        Bug(payment_replaced_during_a_look, "another-payment-during-the-look"),
        Bug(approval_left_open, "review-overdue"),
        Bug(rejection_taken_for_approval, "review-rejected"),
    )
}
