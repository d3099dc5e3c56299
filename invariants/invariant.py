"""What an invariant is: a condition that must always hold, and the query that finds violations."""

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
"""True in every snapshot: it becomes true in the transaction that makes it due."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """One invariant. Its code never changes its meaning.

    ``sql`` selects two texts, a subject and a detail, for each violation. The subject is the
    order's id if the violation is about one order. The query reads rows and uses none of the code
    that wrote them, so that it shares none of its bugs. It may use:

    ``%(every_order)s OR x = ANY(%(orders)s)``
        Limits the query to the orders of the check, unless it covers all orders.
    ``provider_payment a``
        The payments that were read at the providers (``invariants.provider_relation``); empty if
        they were not read. Compare only what our database settled before ``%(settled_before)s``.
    ``%(overdue_since)s``
        What began before this moment has exceeded ``time_limit``.
    """

    code: str
    kind: Kind
    sentence: str
    sql: str
    time_limit: timedelta = AT_ONCE
    """How long it may take to become true."""
    is_enforced: bool = False
    """Whether a constraint enforces it too: then a finding means that the database was changed by hand."""
    needs_provider: bool = False
    """Whether it can only be checked when the providers were read."""
    sums_history: bool = False
    """Whether it adds up all of history: only a full check includes it."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Parameters of the query that come from tables in our code."""

    @property
    def asks_provider(self) -> bool:
        """Whether the query reads the providers' payments."""
        return " provider_payment a" in self.sql

    @property
    def is_about_orders(self) -> bool:
        """Whether a check of some orders limits the query to them."""
        return "%(orders)s" in self.sql
