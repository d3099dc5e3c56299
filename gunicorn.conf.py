"""Gunicorn's settings for web and desk: logging, and time-outs for slow clients."""

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
"""The socket is unused, and all processes of a user would share its path."""


class logger_class(Logger):  # type: ignore[misc]  # noqa: N801 - untyped; the name of a setting
    """Gunicorn's logger, with the handlers of our logging configuration."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        configure(settings.LOGGING)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log the disconnection of a slow client as one line, because it is not an error."""
        if isinstance(sys.exception(), BlockingIOError):
            self.info("client.too_slow")
        else:
            super().exception(msg, *args, **kwargs)


class worker_class(ThreadWorker):  # type: ignore[misc]  # noqa: N801 - untyped; the name of a setting
    """Gunicorn's threaded worker. Its accepting thread never waits for a client."""

    def handle(self, conn: TConn) -> object:
        """Serve a request, and close a finished connection in the same thread.

        Closing waits up to two seconds for the client. Gunicorn does that in the thread that accepts
        connections: a few clients that do not close would block all others, until the arbiter kills
        the worker as dead.
        """
        keeps_open: object = super().handle(conn)
        if keeps_open is False:
            conn.close(graceful=True)
            conn.close = _closed_already
        return keeps_open


def _closed_already(*, graceful: bool = False) -> None:
    """Replaces the ``close`` that gunicorn calls next."""


def when_ready(server: Any) -> None:
    """Limit how long a silent client can occupy a thread in the middle of a request or response.

    Gunicorn's threads wait without limit. On Linux a connection inherits the time-outs of the socket
    that accepted it (``socket(7)``): a longer read or write fails, and the connection is closed.
    Between requests a connection occupies no thread, and stays open.
    """
    limit = struct.pack("@ll", settings.CLIENT_TIMEOUT_SECONDS, 0)  # struct timeval
    for listener in server.LISTENERS:
        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, direction, limit)
