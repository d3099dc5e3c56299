"""Every invariant there is. One more is one more entry in the file of its kind."""

from typing import Final

from invariants.invariant import Invariant
from invariants.journal import JOURNAL
from invariants.money import MONEY
from invariants.outbox import OUTBOX
from invariants.states import STATES
from invariants.stock import STOCK

INVARIANTS: Final[tuple[Invariant, ...]] = (*MONEY, *STOCK, *STATES, *JOURNAL, *OUTBOX)
