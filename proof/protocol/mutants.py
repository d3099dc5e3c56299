"""Protocols with one rule removed. The finding of each shows what the rule prevents.

They also test the search: it must find them. The few without a finding are equivalent: another rule
covers the removed one, and ``without`` says which.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from proof.protocol.rules import Protocol, Rules, SearchScope
from proof.protocol.search import STUCK
from proof.protocol.state import Faults


class Mutant(NamedTuple):
    """``without`` says what is missing; ``finding`` is what the search finds, empty if equivalent."""

    without: str
    rules: Rules
    faults: Faults
    finding: str

    orders: int = 1
    has_child: bool = False

    @property
    def protocol(self) -> Protocol:
        scope = SearchScope(self.faults, orders=self.orders, units=(1,), has_child=self.has_child)
        return Protocol(scope, self.rules)


MUTANTS: Final[Mapping[str, Mutant]] = {
    "no_fence_at_the_provider": Mutant(
        "Closing cancels an intent only if it sees money held. A confirmation that is still in flight"
        " succeeds later.",
        Rules(cancels_at_provider=False),
        Faults(cancels=1, no_answers=1),
        "cancelled and still confirmable",
    ),
    "cancel_without_resolving": Mutant(
        "Only steps that were done are compensated. A declined intent, or one without an answer, can"
        " still be paid later.",
        Rules(compensates_attempted_steps=False),
        Faults(cancels=1, no_answers=1),
        "cancelled and still confirmable",
    ),
    "timeout_taken_for_decline": Mutant(
        "No answer counts as a decline: a customer whose card was good reads that it was declined.",
        Rules(retries_without_answer=False),
        Faults(no_answers=1),
        "called declined, and the provider said yes",
    ),
    "key_only": Mutant(
        "The intent is created and confirmed in one request. Only the key prevents a second one, and"
        " only for a day.",
        Rules(creates_unconfirmed=False),
        Faults(crashes=1, expiries=1),
        "double charge",
    ),
    "fresh_key_for_each_attempt": Mutant(
        "An attempt that follows a lost answer creates a second intent.",
        Rules(reuses_keys=False),
        Faults(no_answers=1),
        "second intent under a known key",
    ),
    "fresh_key_and_charged_at_once": Mutant(
        "As above, and the second intent charges the customer again.",
        Rules(reuses_keys=False, creates_unconfirmed=False),
        Faults(no_answers=1),
        "double charge",
    ),
    "confirms_before_storing": Mutant(
        "The intent is confirmed before its id is committed, so compensation does not know it.",
        Rules(stores_before_confirming=False),
        Faults(cancels=1, crashes=1),
        "cancelled with money held or taken",
    ),
    "call_before_its_journal_row": Mutant(
        "The attempt is journalled with its result, so the attempt of a dead worker is unknown.",
        Rules(journals_before_call=False),
        Faults(cancels=1, crashes=1),
        "cancelled and still confirmable",
    ),
    "settles_without_fence": Mutant(
        "A worker that slept past its lease settles a run that another worker has taken over.",
        Rules(fences_settling=False),
        Faults(sleeps=1),
        "compensated without a reason",
    ),
    "stores_without_fence": Mutant(
        "A worker that slept replaces the id of the intent that has the money.",
        Rules(fences_storing=False),
        Faults(sleeps=1, expiries=1),
        "double charge",
    ),
    "stores_without_fence_when_closed": Mutant(
        "A worker that slept stores its id after the order was closed, and confirms it.",
        Rules(fences_storing=False, stores_only_while_open=False),
        Faults(cancels=1, sleeps=1),
        "cancelled and still confirmable",
    ),
    "no_sweep": Mutant(
        "A lost message is a lost order.", Rules(sweeps=False), Faults(losses=1), STUCK
    ),
    "lease_never_expires": Mutant(
        "A dead worker keeps its run without end.",
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
        "Two orders count the same last unit on the shelf.",
        Rules(counts_under_lock=False),
        Faults(),
        "oversold",
        orders=2,
    ),
    "releases_twice": Mutant(
        "Releasing commits before its journal row and is not repeatable: after a crash the unit is"
        " put on the shelf again.",
        Rules(journals_with_compensation=False, releases_once=False),
        Faults(crashes=1),
        "stock released twice",
    ),
    "captures_before_confirming": Mutant(
        "The money is taken for an order that is not confirmed yet.",
        Rules(confirms_before_capturing=False),
        Faults(),
        "charged before it was confirmed",
    ),
    "refunds_without_looking": Mutant(
        "A refund whose answer was lost is requested again, and rejected without end.",
        Rules(looks_for_refund=False),
        Faults(cancels=1, no_answers=1, expiries=1),
        STUCK,
    ),
    "refund_assumed_done": Mutant(
        "The order is cancelled although the refund may never have arrived at the provider.",
        Rules(waits_for_refund=False),
        Faults(cancels=1, no_answers=1),
        "cancelled with money held or taken",
    ),
    "forgets_the_request": Mutant(
        "A cancel that was accepted during the last call changes nothing.",
        Rules(checks_request_at_the_end=False),
        Faults(cancels=1),
        "the customer's cancel was forgotten",
    ),
    "nudges_before_its_fact": Mutant(
        "The nudge commits before its fact: the run looks in between, and sleeps until its deadline.",
        Rules(nudges_with_fact=False),
        Faults(decisions=1),
        "a nudge was lost",
        has_child=True,
    ),
    "ends_without_a_nudge": Mutant(
        "A child ends without waking its parent, which sleeps until its deadline.",
        Rules(nudges_parent=False),
        Faults(decisions=1),
        "a parent sleeps although its child has ended",
        has_child=True,
    ),
    "forgets_a_nudge_during_a_call": Mutant(
        "A nudge that comes while a call is in flight is forgotten: the call had looked before.",
        Rules(counts_nudges=False),
        Faults(cancels=1),
        "a parent sleeps although its child has ended",
        has_child=True,
    ),
    "replaces_during_a_call": Mutant(
        "The customer pays otherwise while a call looks at the earlier payment, whose success is"
        " then recorded on the new one.",
        Rules(replaces_between_calls=False),
        Faults(authentications=1, payments=1),
        "a payment counts for the result of another one's call",
    ),
    "stores_when_closed": Mutant(
        "Equivalent: a claim closes the payment, and every claim raises the fence, so a worker that"
        " could store an id after that has lost the run already. A payment that is replaced is closed"
        " without a claim, but only while no call looks at it.",
        Rules(stores_only_while_open=False),
        Faults(cancels=1, sleeps=1, expiries=1),
        "",
    ),
    "releases_twice_but_journals": Mutant(
        "Equivalent: the journal row of the release commits with it, so it is never repeated. The"
        " rule covers other callers.",
        Rules(releases_once=False),
        Faults(cancels=1, crashes=1, sleeps=1),
        "",
    ),
}
