"""The worlds to search: QUICK in ``make test``, DEEP in ``make prove``.

Faults multiply the number of states, so each world has a few kinds that matter together. In most of
them the customer may cancel at any time.
"""

from collections.abc import Mapping
from typing import Final

from proof.protocol.rules import SearchScope
from proof.protocol.state import Faults

QUICK: Final[Mapping[str, SearchScope]] = {
    "a child waits for an answer": SearchScope(
        Faults(cancels=1, crashes=1, losses=1, decisions=1), has_child=True, units=(0,)
    ),
    "an order is reviewed": SearchScope(
        Faults(cancels=1, crashes=1, losses=1, decisions=1), units=(1,)
    ),
    "the customer authenticates": SearchScope(
        Faults(cancels=1, crashes=1, authentications=1), units=(1,)
    ),
    "the customer pays otherwise": SearchScope(
        Faults(cancels=1, crashes=1, authentications=1, payments=1), units=(1,)
    ),
    "workers die, and one sleeps": SearchScope(Faults(cancels=1, crashes=1, sleeps=1)),
    "messages are lost and doubled": SearchScope(Faults(cancels=1, sleeps=1, losses=1, doubles=1)),
    "the provider saves errors": SearchScope(Faults(cancels=1, crashes=1, no_answers=1, errors=1)),
    "the authorization expires": SearchScope(
        Faults(cancels=1, crashes=1, no_answers=1, expirations=1)
    ),
    "two orders for one unit": SearchScope(Faults(cancels=1, crashes=1), orders=2, units=(1,)),
    "two orders for one unit, and a zombie": SearchScope(
        Faults(sleeps=1, no_answers=1), orders=2, units=(1,)
    ),
}

DEEP: Final[Mapping[str, SearchScope]] = {
    "a worker sleeps while keys expire": SearchScope(
        Faults(cancels=1, sleeps=1, no_answers=1, expiries=1)
    ),
    "an order is reviewed, and a worker sleeps": SearchScope(
        Faults(cancels=1, crashes=1, sleeps=1, no_answers=1, decisions=1)
    ),
    "the customer authenticates among many faults": SearchScope(
        Faults(cancels=1, crashes=1, sleeps=1, no_answers=1, losses=1, authentications=1)
    ),
    "the customer pays otherwise, and a worker sleeps": SearchScope(
        Faults(cancels=1, sleeps=1, losses=1, authentications=1, payments=1), units=(1,)
    ),
    "the customer pays otherwise without an answer": SearchScope(
        Faults(sleeps=1, no_answers=1, authentications=1, payments=1), units=(1,)
    ),
    "the customer pays otherwise, twice": SearchScope(
        Faults(sleeps=1, authentications=2, payments=2), units=(1,)
    ),
    "workers die, sleep, and get no answer": SearchScope(
        Faults(cancels=1, crashes=1, sleeps=1, no_answers=1)
    ),
    "a child waits for an answer, and a worker sleeps": SearchScope(
        Faults(cancels=1, crashes=1, sleeps=1, losses=1, doubles=1, decisions=1),
        has_child=True,
        units=(0,),
    ),
    "two workers die, one sleeps": SearchScope(
        Faults(cancels=1, crashes=2, sleeps=1, no_answers=1)
    ),
    "no answer, twice": SearchScope(Faults(cancels=1, crashes=1, sleeps=1, no_answers=2)),
    "two of three workers sleep": SearchScope(
        Faults(cancels=1, sleeps=2, no_answers=1, doubles=1), workers=3
    ),
    "messages are lost and doubled while keys expire": SearchScope(
        Faults(cancels=1, crashes=1, sleeps=1, losses=1, doubles=1, expiries=1)
    ),
    "the provider saves two errors": SearchScope(
        Faults(cancels=1, crashes=1, no_answers=1, errors=2)
    ),
    "the provider saves an error while a worker sleeps": SearchScope(
        Faults(cancels=1, crashes=1, sleeps=1, errors=1)
    ),
    "the authorization expires among many faults": SearchScope(
        Faults(cancels=1, crashes=1, no_answers=2, losses=1, doubles=1, expirations=1)
    ),
    "two orders: a cancel, a death and a zombie": SearchScope(
        Faults(cancels=1, crashes=1, sleeps=1), orders=2, units=(1,)
    ),
    "two orders: a cancel, a lost answer and a zombie": SearchScope(
        Faults(cancels=1, sleeps=1, no_answers=1), orders=2, units=(1,)
    ),
}
