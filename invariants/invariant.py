"""What an invariant is: a sentence that is always true, and the query that finds where it is not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db.models import TextChoices


class Kind(TextChoices):
    MONEY = "money"  # found twice, it pauses its order
    STOCK = "stock"
    STATE = "state"
    JOURNAL = "journal"
    OUTBOX = "outbox"


AT_ONCE: Final = timedelta()
"""True in every snapshot, because it becomes true in the transaction that makes it due."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """One promise, under a code that never changes its meaning.

    ``sql`` selects two texts, a subject and a detail, for everything that breaks it. The subject is
    the id of the order that it is about, where it is about one. The query reads rows and knows none
    of the code that wrote them, so that it shares none of its bugs. It may use:

    ``%(every_order)s OR x = ANY(%(orders)s)``
        Keeps to the orders that are looked at, where not all are.
    ``bank``
        The intents that were read at the bank (see ``invariants.provider_relation``); empty when it was not.
        ``%(settled_before)s`` is when a thing must have come about for the bank to be held to it.
    ``%(overdue_since)s``
        When a thing must have begun for ``by`` to have passed.
    """

    code: str
    kind: Kind
    sentence: str
    sql: str
    by: timedelta = AT_ONCE
    """How long it may take to become true."""
    is_enforced: bool = False
    """A constraint says so too: a finding means that somebody has been at the database."""
    needs_provider: bool = False
    """Says nothing where the bank has not been read."""
    sums_history: bool = False
    """Adds up all that ever was: for the full check."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """What the query needs of the code's own tables."""

    @property
    def asks_provider(self) -> bool:
        """Whether anything is compared with the bank."""
        return " bank b" in self.sql

    @property
    def is_about_orders(self) -> bool:
        """Whether a check of some orders asks it of those alone."""
        return "%(orders)s" in self.sql
