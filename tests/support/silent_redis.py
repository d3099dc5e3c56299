"""A Redis that hangs: the worst way in which one can be down."""

import socket
from contextlib import suppress


class SilentRedis:
    """Lets everybody connect, counts them and never says a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self._taken: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    @property
    def connections(self) -> int:
        """How many have connected so far: the system lets them in, whoever comes to take them."""
        with suppress(BlockingIOError):
            while True:
                self._taken.append(self._listener.accept()[0])
        return len(self._taken)

    def close(self) -> None:
        for each in (self._listener, *self._taken):
            each.close()
