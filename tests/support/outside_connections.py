"""No test reaches anything outside this machine, whatever a setting or its default says.

The environment that tests start from holds no address (``sandbox.environment``); this stops what
would still be reached: a default in the code, a library's own address, a name in DNS.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any


class OutsideConnection(AssertionError):
    """A test tried to reach something outside this machine."""


def refuse_outside_connections() -> Callable[[], None]:
    """Have sockets of this process connect, and look up names, on this machine only.

    Returns the function that undoes it.
    """
    connect, connect_ex, look_up = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def connect_here(self: socket.socket, address: Any) -> None:
        _refuse(self.family, address)
        connect(self, address)

    def connect_ex_here(self: socket.socket, address: Any) -> int:
        _refuse(self.family, address)
        return connect_ex(self, address)

    def look_up_here(host: Any, *args: Any, **options: Any) -> Any:
        if not is_here(host):
            raise OutsideConnection(f"a test looked up {host}")
        return look_up(host, *args, **options)

    def undo() -> None:
        _replace(connect, connect_ex, look_up)

    _replace(connect_here, connect_ex_here, look_up_here)
    return undo


def _replace(connect: Any, connect_ex: Any, look_up: Any) -> None:
    socket.socket.connect = connect  # type: ignore[method-assign]  # undone at the end of the session
    socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = look_up


def _refuse(family: int, address: Any) -> None:
    if family in {socket.AF_INET, socket.AF_INET6} and not is_here(address[0]):
        raise OutsideConnection(f"a test connected to {address[0]}, port {address[1]}")


def is_here(host: Any) -> bool:
    """Tell whether a host is this machine's loopback interface, by its name or its address."""
    if host in {None, "", "localhost", socket.gethostname()}:
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False
