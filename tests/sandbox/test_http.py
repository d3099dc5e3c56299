"""HTTP below the API: invalid requests, limits, pipelining, requests in pieces."""

from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import TEST_KEY, RawApi

REQUEST = f"GET /v1/payment_intents/pi_%s HTTP/1.1\r\nAuthorization: Bearer {TEST_KEY}\r\n\r\n"


def send_pieces(server: SandboxServer, *pieces: bytes) -> bytes:
    """Send the pieces, and return everything that the sandbox responds until it disconnects."""
    with server.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.settimeout(60)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_invalid_http_is_rejected(server: SandboxServer, api: RawApi) -> None:
    response = send_pieces(server, b"HELLO\r\n\r\n")

    assert response.startswith(b"HTTP/1.1 400 ")
    assert api.get("payment_intents").status == 200


def test_a_body_above_the_limit_is_rejected(server: SandboxServer, api: RawApi) -> None:
    head = b"POST /v1/payment_intents HTTP/1.1\r\nContent-Length: 600000\r\n\r\n"

    response = send_pieces(server, head, b"a" * 524_288)

    assert response.startswith(b"HTTP/1.1 413 ")
    assert api.get("payment_intents").status == 200


def test_pipelined_requests_get_their_responses_in_order(server: SandboxServer) -> None:
    last = (REQUEST % "c").replace("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n")

    responses = send_pieces(server, ((REQUEST % "a") + (REQUEST % "b") + last).encode())

    assert responses.count(b"HTTP/1.1 404 ") == 3
    positions = [responses.index(f"'pi_{name}'".encode()) for name in "abc"]
    assert positions == sorted(positions)


def test_a_request_can_arrive_in_pieces(server: SandboxServer) -> None:
    request = (
        (REQUEST % "slow").replace("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n").encode()
    )

    response = send_pieces(server, request[:10], request[10:40], request[40:])

    assert response.startswith(b"HTTP/1.1 404 ")
    assert b"'pi_slow'" in response
