"""Every invariant there is. One more is one more entry in the file of its kind."""

from typing import Final

from invariants.invariant import Invariant
from invariants.journal import JOURNAL
from invariants.money import MONEY
from invariants.outbox import OUTBOX
from invariants.states import STATES
from invariants.stock import STOCK

GHOST_CHARGES: Final = frozenset({"M2", "M7", "M11"})
"""Broken, these mean money that is held or taken, or still could be, of an order that must not have
any, or that no payment of ours accounts for."""

INVARIANTS: Final[tuple[Invariant, ...]] = (*MONEY, *STOCK, *STATES, *JOURNAL, *OUTBOX)
