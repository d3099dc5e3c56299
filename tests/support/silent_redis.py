"""A Redis that accepts connections and never answers: the worst way in which one can be down."""

import socket
from contextlib import suppress


class SilentRedis:
    """Accepts and counts connections, and sends nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self._accepted: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    @property
    def connections(self) -> int:
        """How many connections were opened so far; the kernel accepts them before we do."""
        with suppress(BlockingIOError):
            while True:
                self._accepted.append(self._listener.accept()[0])
        return len(self._accepted)

    def close(self) -> None:
        for connection in (self._listener, *self._accepted):
            connection.close()
