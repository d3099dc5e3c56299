"""The rules that make the protocol safe, each of which a mutant removes; and the scope of a search."""

from dataclasses import dataclass, field

from proof.protocol.family import FAMILY
from proof.protocol.state import Faults
from proof.protocol.steps import Sagas


@dataclass(frozen=True, slots=True)
class Rules:
    """What the code guarantees. The defaults are the protocol as it is."""

    # The order is confirmed before its money is captured.
    confirms_before_capturing: bool = True
    # A phase reads the run under the lock under which it writes it.
    reads_under_lock: bool = True
    # A shelf's row is locked before its stock is counted.
    counts_under_lock: bool = True
    # A local step and its journal row commit together; so does a compensation.
    journals_with_effect: bool = True
    journals_with_compensation: bool = True
    # Releasing a released reservation changes nothing.
    releases_once: bool = True
    # The attempt is committed before its call.
    journals_before_call: bool = True
    # A result is settled only by the attempt that still owns the run.
    fences_settling: bool = True
    # An intent's id is stored only by the attempt that still owns the run.
    fences_storing: bool = True
    # An intent's id is stored only while the payment is open.
    stores_only_while_open: bool = True
    # The intent's id is committed before the intent is confirmed.
    stores_before_confirming: bool = True
    # The intent is created and confirmed in two requests, so that a lost create charges no customer.
    creates_unconfirmed: bool = True
    # Every attempt at an operation uses the same idempotency key.
    reuses_keys: bool = True
    # A call without an answer is repeated: it is neither done nor rejected.
    retries_without_answer: bool = True
    # A remote step is compensated after any attempt, not only if it was done.
    compensates_attempted_steps: bool = True
    # Closing cancels the intent at the provider, also one without money.
    cancels_at_provider: bool = True
    # An existing refund is looked for before a refund is requested.
    looks_for_refund: bool = True
    # A requested refund counts as done only when the provider says so.
    waits_for_refund: bool = True
    # A payment is replaced only while no call looks at it.
    replaces_between_calls: bool = True
    # The customer's request is checked again when the last result is settled.
    checks_request_at_the_end: bool = True
    # Leases run out.
    leases_expire: bool = True
    # Live runs that no worker advances are queued again.
    sweeps: bool = True
    # A fact and its nudge commit together.
    nudges_with_fact: bool = True
    # A nudge during a call is noticed when the call is settled.
    counts_nudges: bool = True
    # A child that ends nudges its parent in its last transaction.
    nudges_parent: bool = True


@dataclass(frozen=True, slots=True)
class SearchScope:
    """The limits of a search: faults, orders, stock, workers, retries."""

    faults: Faults
    orders: int = 1
    units: tuple[int, ...] = (0, 1)  # on the shelf at the start: one world for each number
    workers: int = 2
    patience: int = 2  # attempts without an answer at authorizing before the order is cancelled
    saved_errors_before_search: int = 1
    has_child: bool = (
        False  # the sagas of ``family``: an order that starts a child and waits for it
    )


def product_sagas() -> Sagas:
    """Return the sagas of the product. Needs a Django that is set up."""
    from proof.protocol.derived_sagas import PRODUCT  # noqa: PLC0415 - imports Django's models

    return PRODUCT


@dataclass(frozen=True, slots=True)
class Protocol:
    """The rules and the sagas to search, and the scope of the search."""

    scope: SearchScope
    rules: Rules = field(default_factory=Rules)
    chosen_sagas: Sagas | None = None

    @property
    def sagas(self) -> Sagas:
        """The sagas to search: by default those of the product, or of ``family`` by the scope."""
        if self.chosen_sagas is not None:
            return self.chosen_sagas
        return FAMILY if self.scope.has_child else product_sagas()
