"""What became of every order, by the database's own record."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import psycopg

_FATES: Final = """
SELECT placed.id::text, placed.status, placed.reason,
       extract(epoch FROM confirmed.at)::float8, extract(epoch FROM run.ended_at)::float8
FROM orders_order AS placed
LEFT JOIN orders_ordertransition AS confirmed
    ON confirmed.order_id = placed.id AND confirmed.target = 'confirmed'
LEFT JOIN sagas_sagarun AS run ON run.subject_id = placed.id
"""


class Fate(NamedTuple):
    """How one order stands. Times are of the machine's clock, in seconds; None is not yet."""

    status: str
    reason: str
    confirmed_at: float | None
    completed_at: float | None  # its money captured too


def fates(session: psycopg.Connection) -> dict[str, Fate]:
    """Return what became of each order that the shop has, by its id."""
    return {row[0]: Fate(*row[1:]) for row in session.execute(_FATES)}


def confirmed_between(began: float, ended: float, found: Mapping[str, Fate]) -> int:
    """Count the orders that were confirmed from one moment to another."""
    moments = (fate.confirmed_at for fate in found.values())
    return sum(moment is not None and began <= moment < ended for moment in moments)
