"""Protocols with one rule taken away: what each of them leads to shows what the rule is for.

A search that would not find these would not find a mistake of ours either. The few that survive
are equivalent: another rule stands behind the one that they lack, and they say which.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from proof.protocol.rules import Protocol, Rules, Scope
from proof.protocol.search import STUCK
from proof.protocol.state import Faults
from proof.protocol.tables import CHECKOUT


class Mutant(NamedTuple):
    """``without`` is what the world lacks; ``finding`` how it shows, empty if it is equivalent."""

    without: str
    rules: Rules
    faults: Faults
    finding: str

    orders: int = 1

    @property
    def protocol(self) -> Protocol:
        return Protocol(Scope(self.faults, orders=self.orders, units=(1,)), self.rules)


RESERVE, AUTHORIZE, CONFIRM, CAPTURE = CHECKOUT

MUTANTS: Final[Mapping[str, Mutant]] = {
    "no_fence_at_the_bank": Mutant(
        "Closing lets go of what it sees held, and does not cancel an intent that holds nothing:"
        " a confirmation that is still on its way succeeds later.",
        Rules(cancels_at_bank=False),
        Faults(cancels=1, silences=1),
        "cancelled and still confirmable",
    ),
    "cancel_without_resolving": Mutant(
        "Only what was answered yes is undone: what an intent that was declined, or of which"
        " nothing was heard, may still become is forgotten.",
        Rules(undoes_what_was_begun=False),
        Faults(cancels=1, silences=1),
        "cancelled and still confirmable",
    ),
    "timeout_taken_for_failure": Mutant(
        "No answer counts as a no: a customer whose card was good hears that it was declined.",
        Rules(asks_again_after_silence=False),
        Faults(silences=1),
        "called declined, and the bank said yes",
    ),
    "key_only": Mutant(
        "Created and confirmed in one request; the key alone protects from a second, for a day.",
        Rules(creates_unconfirmed=False),
        Faults(crashes=1, expiries=1),
        "double charge",
    ),
    "fresh_key_for_each_attempt": Mutant(
        "An attempt that follows a lost answer creates a second intent.",
        Rules(keeps_keys=False),
        Faults(silences=1),
        "second intent under a known key",
    ),
    "fresh_key_and_charged_at_once": Mutant(
        "As above, and the second intent charges the customer again.",
        Rules(keeps_keys=False, creates_unconfirmed=False),
        Faults(silences=1),
        "double charge",
    ),
    "confirms_before_storing": Mutant(
        "The intent is confirmed before its id is committed: who turns back does not know of it.",
        Rules(stores_before_confirming=False),
        Faults(cancels=1, crashes=1),
        "cancelled with money held or taken",
    ),
    "call_before_its_journal_row": Mutant(
        "The attempt is written down with its answer: of a worker that dies nobody knows.",
        Rules(journals_before_call=False),
        Faults(cancels=1, crashes=1),
        "cancelled and still confirmable",
    ),
    "settles_without_fence": Mutant(
        "A worker that slept past its lease settles over the one that has taken over.",
        Rules(fences_settling=False),
        Faults(sleeps=1),
        "a sound order turned back",
    ),
    "stores_without_fence": Mutant(
        "The id of a worker that slept replaces that of the intent which holds the money.",
        Rules(fences_storing=False),
        Faults(sleeps=1, expiries=1),
        "double charge",
    ),
    "stores_without_fence_or_door": Mutant(
        "A worker that slept stores its id after the order was closed, and confirms it.",
        Rules(fences_storing=False, stores_only_while_open=False),
        Faults(cancels=1, sleeps=1),
        "cancelled and still confirmable",
    ),
    "no_sweep": Mutant(
        "A lost message is a lost order.", Rules(sweeps=False), Faults(losses=1), STUCK
    ),
    "lease_never_expires": Mutant(
        "A dead worker keeps its run for ever.",
        Rules(leases_expire=False),
        Faults(crashes=1),
        STUCK,
    ),
    "stale_read": Mutant(
        "A phase decides on a run that it read before it locked it.",
        Rules(reads_under_lock=False),
        Faults(doubles=1),
        "cancelled with stock on hold",
    ),
    "stock_outside_the_transaction": Mutant(
        "The stock moves in a commit of its own; the next worker moves it again.",
        Rules(journals_with_effect=False),
        Faults(crashes=1),
        "cancelled with stock on hold",
    ),
    "counts_without_lock": Mutant(
        "Two orders see the same last unit on the shelf.",
        Rules(counts_under_lock=False),
        Faults(),
        "oversold",
        orders=2,
    ),
    "releases_twice": Mutant(
        "Releasing commits before its journal row and is not repeatable: after a crash the unit is"
        " put on the shelf again.",
        Rules(journals_with_undo=False, releases_once=False),
        Faults(crashes=1),
        "stock released twice",
    ),
    "captures_before_confirming": Mutant(
        "The money is taken for an order that was not promised yet.",
        Rules(checkout=(RESERVE, AUTHORIZE, CAPTURE, CONFIRM)),
        Faults(),
        "charged before it was confirmed",
    ),
    "refunds_without_looking": Mutant(
        "A refund whose answer was lost is asked for again, and the bank refuses it for ever.",
        Rules(looks_for_refund=False),
        Faults(cancels=1, silences=1, expiries=1),
        STUCK,
    ),
    "refund_taken_for_given": Mutant(
        "The order is cancelled on a refund that may never have arrived at the bank.",
        Rules(waits_for_refund=False),
        Faults(cancels=1, silences=1),
        "cancelled with money held or taken",
    ),
    "forgets_the_wish": Mutant(
        "A cancel that was accepted during the last call changes nothing.",
        Rules(minds_wish_at_the_end=False),
        Faults(cancels=1),
        "the customer's cancel was forgotten",
    ),
    "stores_through_the_door": Mutant(
        "Equivalent: the door is closed by a claim, and every claim raises the fence, so whoever"
        " could store an id after closing has lost the run already. The door also keeps out"
        " whoever sets closed_at without a claim; no code does.",
        Rules(stores_only_while_open=False),
        Faults(cancels=1, sleeps=1, expiries=1),
        "",
    ),
    "releases_twice_but_journals": Mutant(
        "Equivalent: the journal row that says the release is done commits with it, so it is"
        " never repeated. That releasing is repeatable protects from whoever else calls it.",
        Rules(releases_once=False),
        Faults(cancels=1, crashes=1, sleeps=1),
        "",
    ),
}
