"""All invariants. Add a new one to the file of its kind."""

from typing import Final

from invariants.invariant import Invariant
from invariants.journal import JOURNAL
from invariants.money import MONEY
from invariants.outbox import OUTBOX
from invariants.states import STATES
from invariants.stock import STOCK

GHOST_CHARGES: Final = frozenset({"M2", "M7", "M11"})
"""A break of one of these may be a ghost charge: money that is held or taken, or still can be.
Its order must not have any money, or no payment of ours accounts for it."""

INVARIANTS: Final[tuple[Invariant, ...]] = (*MONEY, *STOCK, *STATES, *JOURNAL, *OUTBOX)
