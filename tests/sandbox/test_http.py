"""The HTTP beneath the API: what no decent client sends, and what any may."""

from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import TEST_KEY, RawApi

ASK = f"GET /v1/payment_intents/pi_%s HTTP/1.1\r\nAuthorization: Bearer {TEST_KEY}\r\n\r\n"


def everything_said_to(server: SandboxServer, *pieces: bytes) -> bytes:
    """What the sandbox answers until it hangs up."""
    with server.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.settimeout(60)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_is_not_http_is_refused(server: SandboxServer, api: RawApi) -> None:
    answer = everything_said_to(server, b"HELLO\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert api.get("payment_intents").status == 200


def test_a_body_has_a_limit(server: SandboxServer, api: RawApi) -> None:
    head = b"POST /v1/payment_intents HTTP/1.1\r\nContent-Length: 600000\r\n\r\n"

    answer = everything_said_to(server, head, b"a" * 524_288)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert api.get("payment_intents").status == 200


def test_requests_sent_at_once_are_answered_in_their_order(server: SandboxServer) -> None:
    last = (ASK % "c").replace("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n")

    answers = everything_said_to(server, ((ASK % "a") + (ASK % "b") + last).encode())

    assert answers.count(b"HTTP/1.1 404 ") == 3
    positions = [answers.index(f"'pi_{name}'".encode()) for name in "abc"]
    assert positions == sorted(positions)


def test_a_request_may_come_in_pieces(server: SandboxServer) -> None:
    request = (ASK % "slow").replace("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n").encode()

    answer = everything_said_to(server, request[:10], request[10:40], request[40:])

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"'pi_slow'" in answer
