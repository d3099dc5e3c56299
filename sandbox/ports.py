"""Free TCP ports on the loopback interface, reserved until their servers use them."""

import socket

LOOPBACK = "127.0.0.1"


class PortTaken(Exception):
    """Another program listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on {LOOPBACK} is taken by another program")
        self.port = port


class ReservedPort:
    """A port that the kernel does not choose for other programs while this object is open.

    The socket is bound and never listens. So a server that sets SO_REUSEADDR can use the port, also
    after a restart. All servers here set it. Another program that asks for this number can use it
    too, so a start can fail; the caller then chooses another port.
    """

    def __init__(self, number: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((LOOPBACK, number))
        except OSError as error:
            self._socket.close()
            raise PortTaken(number) from error
        self.number: int = self._socket.getsockname()[1]

    def is_served(self) -> bool:
        """Return whether a program accepts connections on the port."""
        with socket.socket() as client:
            return client.connect_ex((LOOPBACK, self.number)) == 0

    def close(self) -> None:
        self._socket.close()
