"""Stops tests from reaching anything outside this machine.

The environment of tests holds no address (``sandbox.environment``). This module refuses the rest: a
default in the code, a library's own address, a name in DNS.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any


class OutsideConnection(AssertionError):
    """A test tried to reach something outside this machine."""


def refuse_outside_connections() -> Callable[[], None]:
    """Limit connections and name look-ups of this process to this machine.

    They raise OutsideConnection otherwise. Returns the function that restores them.
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

    def restore() -> None:
        _replace(connect, connect_ex, look_up)

    _replace(connect_here, connect_ex_here, look_up_here)
    return restore


def _replace(connect: Any, connect_ex: Any, look_up: Any) -> None:
    socket.socket.connect = connect  # type: ignore[method-assign]  # restored at the end of the session
    socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = look_up


def _refuse(family: int, address: Any) -> None:
    if family in {socket.AF_INET, socket.AF_INET6} and not is_here(address[0]):
        raise OutsideConnection(f"a test connected to {address[0]}, port {address[1]}")


def is_here(host: Any) -> bool:
    """Return whether a host, a name or an address, is this machine's loopback interface."""
    if host in {None, "", "localhost", socket.gethostname()}:
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False
