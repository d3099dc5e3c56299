"""No test reaches anything outside this machine."""

import socket

import pytest
import urllib3

from tests.support.outside_connections import OutsideConnection, is_here

pytestmark = pytest.mark.destructive  # with EXTERNAL=1 the servers may be elsewhere


@pytest.mark.parametrize("address", ["192.0.2.1", "203.0.113.7"])
def test_a_connection_to_another_machine_is_refused(address: str) -> None:
    with socket.socket() as client:
        with pytest.raises(OutsideConnection):
            client.connect((address, 443))
        with pytest.raises(OutsideConnection):
            client.connect_ex((address, 443))
    with socket.socket(socket.AF_INET6) as client, pytest.raises(OutsideConnection):
        client.connect(("2001:db8::1", 443))


def test_the_name_of_another_machine_is_not_looked_up() -> None:
    with pytest.raises(OutsideConnection, match=r"looked up api\.stripe\.com"):
        urllib3.request("GET", "https://api.stripe.com/", retries=False)


def test_this_machine_can_be_reached() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())

    assert socket.getaddrinfo("localhost", 80)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        (None, True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
    ],
)
def test_only_loopback_addresses_are_local(host: str | None, expected: bool) -> None:  # noqa: FBT001
    assert is_here(host) is expected
