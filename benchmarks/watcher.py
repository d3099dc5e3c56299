"""Watches for orders that end, with one query for all outstanding orders."""

import asyncio
from typing import Final, Self

import psycopg

PAUSE_SECONDS: Final = 0.02

_ENDED = """
SELECT id::text FROM orders_order
WHERE id = ANY(%s::uuid[]) AND status IN ('confirmed', 'cancelled')
"""


class Watcher:
    """Watches the outstanding orders of a closed loop.

    It has its own session, so that its cost in PostgreSQL counts for the load generator
    (``backend``, ``queries``).
    """

    def __init__(self, session: psycopg.AsyncConnection) -> None:
        self._session = session
        self._outstanding: dict[str, asyncio.Future[None]] = {}
        self.backend = session.info.backend_pid
        self.queries = 0

    @classmethod
    async def connect(cls, database_url: str) -> Self:
        return cls(
            await psycopg.AsyncConnection.connect(
                database_url, autocommit=True, prepare_threshold=1, application_name="benchmark"
            )
        )

    async def wait_until_ended(self, order_id: str) -> None:
        """Return when the order is confirmed or cancelled, at most about 20 ms later."""
        self._outstanding[order_id] = asyncio.get_running_loop().create_future()
        await self._outstanding[order_id]

    async def watch(self) -> None:
        """Query until this task is cancelled."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if self._outstanding:
                self.queries += 1
                found = await self._session.execute(_ENDED, (list(self._outstanding),))
                for (order_id,) in await found.fetchall():
                    self._outstanding.pop(order_id).set_result(None)

    async def close(self) -> None:
        await self._session.close()
