"""What gunicorn finds here by itself: how it logs, and that no client holds the others up."""

import socket
import struct
import sys
from typing import Any

from django.conf import settings
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn, ThreadWorker

from config.logging import configure

control_socket_disable = True
"""It would be one path in the home of the user, for all that he runs, and nobody asks it anything."""


class logger_class(Logger):  # type: ignore[misc]  # noqa: N801 - untyped; the name of a setting
    """Gunicorn's logger without handlers of its own."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        configure(settings.LOGGING)
        for each in (self.error_log, self.access_log):
            each.handlers.clear()
            each.propagate = True

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Say in one line of a client that was let go that it was: no error, and nothing of ours."""
        if isinstance(sys.exception(), BlockingIOError):
            self.info("client.too_slow")
        else:
            super().exception(msg, *args, **kwargs)


class worker_class(ThreadWorker):  # type: ignore[misc]  # noqa: N801 - untyped; the name of a setting
    """Gunicorn's worker with threads, in which none but those wait for clients."""

    def handle(self, conn: TConn) -> object:
        """Serve a request, and close a connection that is done with in the thread that served it.

        For up to two seconds it is waited for the client to close its end. Gunicorn does so in the
        thread that accepts connections: a few clients that do not close would keep everybody out,
        until the worker is taken for dead and killed.
        """
        goes_on: object = super().handle(conn)
        if goes_on is False:
            conn.close(graceful=True)
            conn.close = _closed_already
        return goes_on


def _closed_already(*, graceful: bool = False) -> None:
    """Stand in for what gunicorn does next with a connection."""


def when_ready(server: Any) -> None:
    """Let no client hold a thread by silence: one in the middle of a request, or of an answer.

    Gunicorn's threads wait for both without an end. On Linux a connection has the time-outs of the
    socket that it was accepted from; a read or write beyond them fails (``socket(7)``), and the
    connection is closed. Between requests a connection holds no thread, and is kept as ever.
    """
    limit = struct.pack("@ll", settings.CLIENT_TIMEOUT_SECONDS, 0)  # struct timeval
    for listener in server.LISTENERS:
        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, direction, limit)
