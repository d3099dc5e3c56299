"""All violations of all invariants."""

from typing import Final

from tests.support.violations.journal import JOURNAL, OUTBOX
from tests.support.violations.money import MONEY
from tests.support.violations.state import STATE
from tests.support.violations.stock import STOCK

VIOLATIONS: Final = (*MONEY, *STOCK, *STATE, *JOURNAL, *OUTBOX)
