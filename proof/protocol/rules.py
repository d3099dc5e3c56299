"""The rules that make the protocol safe, each to be taken away by a mutant; and how far to search."""

from dataclasses import dataclass, field

from proof.protocol.state import Faults
from proof.protocol.tables import CHECKOUT, Step


@dataclass(frozen=True, slots=True)
class Rules:
    """What the code sees to. The defaults are the protocol as it is."""

    checkout: tuple[Step, ...] = CHECKOUT
    # A phase reads the run under the lock under which it writes it.
    reads_under_lock: bool = True
    # A shelf's row is locked before what is on it is counted.
    counts_under_lock: bool = True
    # What a local step did and its journal row commit together; and so for its undo.
    journals_with_effect: bool = True
    journals_with_undo: bool = True
    # Releasing what is released changes nothing.
    releases_once: bool = True
    # The attempt is committed before the bank is asked.
    journals_before_call: bool = True
    # An answer is settled only by the attempt that still holds the run.
    fences_settling: bool = True
    # An intent's id is stored only by the attempt that still holds the run.
    fences_storing: bool = True
    # An intent's id is stored only while the payment is open.
    stores_only_while_open: bool = True
    # The intent's id is committed before the intent is confirmed.
    stores_before_confirming: bool = True
    # The intent is created and confirmed in two requests, so that a lost create charges nobody.
    creates_unconfirmed: bool = True
    # Every attempt at an operation uses the same idempotency key.
    keeps_keys: bool = True
    # No answer is neither yes nor no.
    asks_again_after_silence: bool = True
    # A remote step is undone if an attempt was only begun, not only when it was answered yes.
    undoes_what_was_begun: bool = True
    # Closing cancels the intent at the bank, also one that holds nothing yet.
    cancels_at_bank: bool = True
    # Before it refunds it looks for a refund that exists.
    looks_for_refund: bool = True
    # A refund that was asked for counts as given only when the bank says so.
    waits_for_refund: bool = True
    # The customer's wish is looked at again when the last answer is settled.
    minds_wish_at_the_end: bool = True
    # Leases run out.
    leases_expire: bool = True
    # Live runs that nobody carries are queued again.
    sweeps: bool = True


@dataclass(frozen=True, slots=True)
class Scope:
    """How much of the world is searched."""

    faults: Faults
    orders: int = 1
    units: tuple[int, ...] = (0, 1)  # on the shelf at the beginning: a world for each
    workers: int = 2
    patience: int = 2  # unanswered tries at authorizing before the order is turned back
    saved_errors_before_looking: int = 1


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is searched: the rules, and the scope."""

    scope: Scope
    rules: Rules = field(default_factory=Rules)
