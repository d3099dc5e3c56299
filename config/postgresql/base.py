"""Django's connection to PostgreSQL for the ENGINE ``config.postgresql``."""

import select

from django.db.backends.postgresql import base
from psycopg.pq import ConnStatus


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        """Return whether the idle connection is open: the server has sent nothing on it.

        Django checks this before a request or task uses the connection; its own check sends a
        query. PostgreSQL sends data on an idle connection when it closes the connection, or when it
        reloads its configuration. In the second case a new connection does no harm. A silent
        network failure is noticed by the next query, as with Django's check.
        """
        if self.connection is None or self.connection.pgconn.status != ConnStatus.OK:
            return False
        poll = select.poll()
        poll.register(self.connection.pgconn.socket, select.POLLIN)
        return not poll.poll(0)
