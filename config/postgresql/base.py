"""The connection that Django makes when a database's ENGINE is ``config.postgresql``."""

import select

from django.db.backends.postgresql import base
from psycopg.pq import ConnStatus


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        """Whether the server has said nothing since it answered last.

        Django asks before a request or a task uses a connection that has waited, and would send a
        query to find out. PostgreSQL says something on an idle connection only when it ends it
        (or reloads its configuration, and then a new connection does no harm), and the kernel
        knows. A network that fails without a word is noticed by the next query, as before.
        """
        if self.connection is None or self.connection.pgconn.status != ConnStatus.OK:
            return False
        server = select.poll()
        server.register(self.connection.pgconn.socket, select.POLLIN)
        return not server.poll(0)
