"""Reserved ports: only the servers that set SO_REUSEADDR can use them."""

import socket

import pytest

from sandbox.ports import LOOPBACK, PortTaken, ReservedPort


def listening_on(number: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((LOOPBACK, number))
    server.listen()
    return server


def test_a_server_can_take_a_reserved_port_again_and_again() -> None:
    port = ReservedPort()

    for _ in range(2):
        with listening_on(port.number):
            assert port.is_served()

    assert not port.is_served()
    port.close()


def test_a_port_with_a_listener_cannot_be_reserved() -> None:
    with listening_on(0) as other:
        number = other.getsockname()[1]

        with pytest.raises(PortTaken, match=f"port {number} "):
            ReservedPort(number)


def test_a_reserved_port_cannot_be_bound_by_another_program() -> None:
    port = ReservedPort()

    with socket.socket() as stranger, pytest.raises(OSError, match="Address already in use"):
        stranger.bind((LOOPBACK, port.number))

    port.close()
