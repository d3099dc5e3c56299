"""Which worlds are searched: always, and where there is time.

Faults multiply one another, so each world has a few kinds of them, chosen for what they do
together. In all of them the customer may cancel at any time.
"""

from collections.abc import Mapping
from typing import Final

from proof.protocol.rules import Scope
from proof.protocol.state import Faults

QUICK: Final[Mapping[str, Scope]] = {
    "workers die, sleep, and hear nothing": Scope(
        Faults(cancels=1, crashes=1, sleeps=1, silences=1)
    ),
    "a worker sleeps while keys expire": Scope(Faults(cancels=1, sleeps=1, silences=1, expiries=1)),
    "messages are lost and doubled": Scope(Faults(cancels=1, sleeps=1, losses=1, doubles=1)),
    "the bank saves errors": Scope(Faults(cancels=1, crashes=1, silences=1, errors=1)),
    "the authorization expires": Scope(Faults(cancels=1, crashes=1, silences=1, lapses=1)),
    "two orders for one unit": Scope(Faults(cancels=1, crashes=1), orders=2, units=(1,)),
    "two orders for one unit, and a zombie": Scope(
        Faults(sleeps=1, silences=1), orders=2, units=(1,)
    ),
}

DEEP: Final[Mapping[str, Scope]] = {
    "two workers die, one sleeps": Scope(Faults(cancels=1, crashes=2, sleeps=1, silences=1)),
    "nothing is heard twice": Scope(Faults(cancels=1, crashes=1, sleeps=1, silences=2)),
    "two of three workers sleep": Scope(
        Faults(cancels=1, sleeps=2, silences=1, doubles=1), workers=3
    ),
    "messages go astray while keys expire": Scope(
        Faults(cancels=1, crashes=1, sleeps=1, losses=1, doubles=1, expiries=1)
    ),
    "the bank saves two errors": Scope(Faults(cancels=1, crashes=1, silences=1, errors=2)),
    "the bank saves an error while a worker sleeps": Scope(
        Faults(cancels=1, crashes=1, sleeps=1, errors=1)
    ),
    "the authorization expires in a storm": Scope(
        Faults(cancels=1, crashes=1, silences=2, losses=1, doubles=1, lapses=1)
    ),
    "two orders: a cancel, a death and a zombie": Scope(
        Faults(cancels=1, crashes=1, sleeps=1), orders=2, units=(1,)
    ),
    "two orders: a cancel, a silence and a zombie": Scope(
        Faults(cancels=1, sleeps=1, silences=1), orders=2, units=(1,)
    ),
}
