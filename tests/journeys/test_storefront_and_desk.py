"""The storefront and the desk as two real processes: their routes, and that neither delays the other."""

import http.client
import json
import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.process_lifetime import owned_environment
from tests.support.production_processes import OWNED, WEB, Program
from tests.support.waits import wait_until

SECONDS = 60
THREADS = 2
UNFINISHED = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Ha"
STOREFRONT_HOST, DESK_HOST = "shop.test", "desk.test"


class HttpResponse(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Server:
    """One web process, with two threads and a long client time-out."""

    def __init__(self, folder: Path, serve: str) -> None:
        self._port = ReservedPort()
        environment = {
            **owned_environment(os.environ),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "STRIPE_API_KEY": "sk_test_never_called",
            "SERVE": serve,
            "ALLOWED_HOSTS": STOREFRONT_HOST,
            "DESK_HOSTS": DESK_HOST,
            "CLIENT_TIMEOUT_SECONDS": str(SECONDS),
        }
        self.host = STOREFRONT_HOST if serve == "storefront" else DESK_HOST
        address = f"{LOOPBACK}:{self._port.number}"
        command = (*OWNED, *WEB, address, "--threads", str(THREADS))
        self.program = Program(folder / f"{serve}.log", environment, *command)

    def wait_until_ready(self) -> None:
        wait_until(self._port.is_served)

    def request(
        self, path: str, method: str = "GET", host: str = "", **headers: str
    ) -> HttpResponse:
        with closing(
            http.client.HTTPConnection(LOOPBACK, self._port.number, timeout=SECONDS)
        ) as client:
            client.request(method, path, headers={"Host": host or self.host, **headers})
            response = client.getresponse()
            return HttpResponse(response.status, response.headers, response.read())

    def connect(self) -> socket.socket:
        return socket.create_connection((LOOPBACK, self._port.number), timeout=SECONDS)

    def stop(self) -> None:
        self.program.stop()
        self._port.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    folder = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        servers = {}
        for serve in ("storefront", "desk"):
            servers[serve] = Server(folder, serve)
            stack.callback(servers[serve].stop)
        for server in servers.values():
            server.wait_until_ready()
        yield servers


@pytest.fixture
def storefront(servers: dict[str, Server]) -> Server:
    return servers["storefront"]


@pytest.fixture
def desk(servers: dict[str, Server]) -> Server:
    return servers["desk"]


def assert_not_found(response: HttpResponse) -> None:
    assert response.status == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert json.loads(response.body)["title"] == "Not found"


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/admin/orders/order/"])
def test_the_storefront_has_no_desk(storefront: Server, path: str) -> None:
    assert_not_found(storefront.request(path))


@pytest.mark.parametrize(
    "path", ["/api/v1/orders", "/api/v1/products", "/api/v1/quotes", "/api/schema", "/api/docs/"]
)
def test_the_desk_has_no_api(desk: Server, path: str) -> None:
    assert_not_found(desk.request(path))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/products", 401),
        ("POST", "/api/v1/orders", 401),
        ("GET", "/api/docs/", 200),
        ("GET", "/problems/", 200),
        ("POST", "/admin/login/", 404),  # and not 403, which CSRF protection would answer
    ],
)
def test_the_storefront_neither_sets_nor_reads_cookies(
    storefront: Server, method: str, path: str, status: int
) -> None:
    cookies = {"Cookie": "session=unknown; csrf=unknown; desk-known=unknown"}

    response = storefront.request(path, method, **cookies)

    assert response.status == status
    assert response.headers.get_all("Set-Cookie") is None
    assert "Cookie" not in response.headers.get("Vary", "")


def test_the_desk_protects_its_forms_against_csrf(desk: Server) -> None:
    form = desk.request("/admin/login/")
    unprotected = desk.request("/admin/login/", "POST")

    assert form.status == 200
    assert form.headers["Set-Cookie"].startswith("csrf=")
    assert unprotected.status == 403


@pytest.mark.parametrize("name", ["storefront", "desk"])
def test_both_serve_the_health_check_and_the_problem_pages(
    servers: dict[str, Server], name: str
) -> None:
    live, problems = servers[name].request("/health/live"), servers[name].request("/problems/")

    assert (live.status, live.body) == (200, b'{"status": "live"}')
    assert problems.status == 200


def test_each_accepts_only_its_own_host_names(storefront: Server, desk: Server) -> None:
    swapped = [
        storefront.request("/problems/", host=DESK_HOST).status,
        desk.request("/problems/", host=STOREFRONT_HOST).status,
    ]

    assert swapped == [400, 400]


@pytest.mark.parametrize(("busy", "other"), [("desk", "storefront"), ("storefront", "desk")])
def test_an_overloaded_process_does_not_delay_the_other(
    servers: dict[str, Server], busy: str, other: str
) -> None:
    with ExitStack() as stack:
        for _ in range(THREADS):
            silent = stack.enter_context(closing(servers[busy].connect()))
            silent.sendall(UNFINISHED)
        queued = stack.enter_context(closing(servers[busy].connect()))
        queued.sendall(b"GET /problems/ HTTP/1.1\r\nHost: %b\r\n\r\n" % servers[busy].host.encode())

        answered = servers[other].request("/problems/").status
        still_queued, _, _ = select.select([queued], [], [], 0)
        silent.close()

        assert (answered, still_queued) == (200, [])
        assert queued.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(("down", "other"), [("desk", "storefront"), ("storefront", "desk")])
def test_a_stopped_process_does_not_stop_the_other(
    servers: dict[str, Server], down: str, other: str
) -> None:
    servers[down].program.stop()
    try:
        with pytest.raises(ConnectionRefusedError):
            servers[down].connect().close()
        assert servers[other].request("/problems/").status == 200
    finally:
        servers[down].program.start()
        servers[down].wait_until_ready()
