"""The outcome of every order, read from the database."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import psycopg

_OUTCOMES: Final = """
SELECT placed.id::text, placed.status, placed.reason,
       extract(epoch FROM confirmed.at)::float8, extract(epoch FROM run.ended_at)::float8
FROM orders_order AS placed
LEFT JOIN orders_ordertransition AS confirmed
    ON confirmed.order_id = placed.id AND confirmed.target = 'confirmed'
LEFT JOIN sagas_sagarun AS run ON run.subject_id = placed.id
"""


class OrderOutcome(NamedTuple):
    """The status of one order. Times are by the machine's clock, in seconds; None means not yet."""

    status: str
    reason: str
    confirmed_at: float | None
    completed_at: float | None  # the run has ended: the money is captured too


def order_outcomes(session: psycopg.Connection) -> dict[str, OrderOutcome]:
    """Return the outcome of each order by its id."""
    return {row[0]: OrderOutcome(*row[1:]) for row in session.execute(_OUTCOMES)}


def confirmed_between(began: float, ended: float, outcomes: Mapping[str, OrderOutcome]) -> int:
    """Count the orders that were confirmed between two moments."""
    moments = (outcome.confirmed_at for outcome in outcomes.values())
    return sum(moment is not None and began <= moment < ended for moment in moments)
