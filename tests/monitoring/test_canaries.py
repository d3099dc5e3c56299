"""Canaries: secrets and personal data that are sent through everything and must appear nowhere.

Real web, workers, watch, broker and Stripe of the sandbox. Then the test searches everything that
they wrote: logs, messages, Sentry's envelopes, spans, metrics, and API responses to strangers.
"""

import json
import secrets
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import urllib3
from django.contrib.auth.models import User
from django.db import connection
from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry

from access.models import ApiToken
from monitoring.metrics_endpoint import build_registry
from orders.saga import CHECKOUT
from sandbox.stripe_process import SandboxServer
from tests.support.application_environment import environment_for
from tests.support.canned_http import CannedResponse, CannedServer
from tests.support.http_storefront import HttpStorefront
from tests.support.ledger_checks import no_run_is_live
from tests.support.production_processes import OWNED, WORKER, Installation, Program
from tests.support.provider_ledger import intents_for
from tests.support.shop import Shelf
from tests.support.source_files import ROOT
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def word() -> str:
    """Return a unique value without a shape that redaction knows."""
    return f"canary{secrets.token_hex(6)}"


def card() -> str:
    """Return a card number with a correct check digit."""
    digits = [4, 2, *(secrets.randbelow(10) for _ in range(13))]
    doubled = [sum(divmod(digit * 2, 10)) for digit in digits[::-2]]
    return "".join(map(str, [*digits, -(sum(digits[-2::-2]) + sum(doubled)) % 10]))


class Canaries:
    """One canary of each kind."""

    def __init__(self) -> None:
        self.user_name = word()
        self.first_name = word()
        self.mail = f"{word()}@shop.example"
        self.password = word()
        self.staff_name = word()
        self.idempotency_key = word()
        self.payment_method = f"pm_{word()}"
        self.card = card()
        self.secret_key = f"{word()}{word()}{word()}{word()}"
        self.stripe_key = f"sk_test_{word()}"
        self.sentry_key = secrets.token_hex(16)
        self.database_password = word()
        self.redis_password = word()
        self.path = word()
        self.query = word()
        self.header = word()
        self.token = ""
        self.client_secret = ""

    def all(self) -> dict[str, str]:
        return vars(self)


STOP_LISTENING = "stop listening"


class BrokerListener:
    """Records every command that the broker receives, including messages."""

    def __init__(self, url: str) -> None:
        self.commands: list[bytes] = []
        self._url = url
        self._is_listening = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        self._is_listening.wait()

    def close(self) -> None:
        with redis.Redis.from_url(self._url) as client:
            client.get(STOP_LISTENING)
        self._thread.join()

    def _listen(self) -> None:
        with redis.Redis.from_url(self._url) as client, client.monitor() as monitor:
            self._is_listening.set()
            for command in monitor.listen():
                self.commands.append(str(command).encode())
                if STOP_LISTENING in command["command"]:
                    return


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def sink() -> Iterator[CannedServer]:
    with CannedServer() as server:
        server.answer = CannedResponse("{}")
        yield server


@pytest.fixture
def installation(
    sandbox: SandboxServer,
    tmp_path: Path,
    sink: CannedServer,
    canaries: Canaries,
    transactional_db: None,
) -> Iterator[Installation]:
    running = Installation(
        sandbox,
        tmp_path,
        {
            "SECRET_KEY": canaries.secret_key,
            "STRIPE_API_KEY": canaries.stripe_key,
            "SENTRY_DSN": f"http://{canaries.sentry_key}@{sink.address}/1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{sink.address}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
            "LOG_LEVEL": "DEBUG",
        },
    )
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def alice(installation: Installation, canaries: Canaries, shelf: Shelf) -> HttpStorefront:
    shelf.put("MUG", 50)
    user = User.objects.create_user(
        canaries.user_name, canaries.mail, canaries.password, first_name=canaries.first_name
    )
    canaries.token = str(ApiToken.objects.issue(user)[1])
    return HttpStorefront(installation.url, canaries.token)


@pytest.mark.destructive
def test_no_canary_appears_in_any_output(  # noqa: PLR0917 - fixtures
    installation: Installation,
    alice: HttpStorefront,
    sandbox_stripe: SandboxServer,
    canaries: Canaries,
    sink: CannedServer,
    tmp_path: Path,
) -> None:
    listener = BrokerListener(str(installation.redis_url))

    responses = order_and_cancel(alice, sandbox_stripe, canaries, installation)
    responses += send_bad_requests(installation, canaries)
    responses += break_web_and_workers(alice, installation)
    correlation_id = json.loads(responses[-1])["correlation_id"]
    starts = start_with_wrong_passwords(sandbox_stripe, canaries, tmp_path)
    wait_until(lambda: has_errors_of_web_and_worker(sink, correlation_id))
    wait_until(lambda: len(sink.bodies("/v1/traces")) > 2)
    listener.close()
    sinks = {
        "log of web": installation.web.log.read_bytes(),
        "log of the worker": installation.worker.log.read_bytes(),
        "log of the watch": installation.watch.log.read_bytes(),
        "logs of starts": starts,
        "messages": b"\n".join(listener.commands),
        "Sentry": b"\n".join(sink.bodies("/api/1/envelope")),
        "spans": b"\n".join(sink.bodies("/v1/traces")),
        "metrics": scraped(tmp_path / "metrics"),
        "problems": b"\n".join(responses),
    }

    # Sentry receives its own key, which identifies the project and is no secret.
    sinks["Sentry"] = sinks["Sentry"].replace(canaries.sentry_key.encode(), b"")
    assert {name: found(text, canaries) for name, text in sinks.items()} == {
        name: [] for name in sinks
    }
    for name, text in sinks.items():
        planted = text[:100] + canaries.password.encode() + text[100:]
        assert found(planted, canaries) == ["password"], name
    assert b'"event": "request"' in sinks["log of web"]
    assert b'"exception": "Traceback' in sinks["log of web"]
    assert b'"exception": "Traceback' in sinks["log of the worker"]
    assert CHECKOUT.links[0].name.encode() in sinks["messages"]
    assert b"holdfast.order_id" in sinks["spans"]
    assert b"holdfast.correlation_id" in sinks["spans"]
    assert b"holdfast_outbound_calls_total" in sinks["metrics"]
    assert b"Cannot connect to redis://" in sinks["logs of starts"]
    assert is_json(sinks["log of the worker"])
    assert is_json(sinks["log of web"])
    assert b'"trace_id"' in sinks["log of web"]


def has_errors_of_web_and_worker(sink: CannedServer, correlation_id: str) -> bool:
    """Return whether Sentry got the errors of web and worker, with the ids that the log has."""
    events = [
        json.loads(line)
        for envelope in sink.bodies("/api/1/envelope")
        for line in envelope.splitlines()
        if b'"exception"' in line
    ]
    tags = [event["tags"] for event in events]
    is_of_worker = any({"task", "run_id"} <= tag.keys() for tag in tags)
    return is_of_worker and any(tag.get("correlation_id") == correlation_id for tag in tags)


def order_and_cancel(
    alice: HttpStorefront,
    sandbox_stripe: SandboxServer,
    canaries: Canaries,
    installation: Installation,
) -> list[bytes]:
    """Place orders that are paid, declined and cancelled, some while the provider fails."""
    paid = alice.wait_for_end(alice.place()["id"])
    alice.wait_for_end(alice.place("pm_card_chargeDeclined")["id"])
    alice.wait_for_end(alice.place(canaries.payment_method)["id"])
    asked = alice.wait_for_end(alice.place("pm_card_authenticationRequired")["id"])
    (intent,) = intents_for(sandbox_stripe.ledger(), asked["id"])
    canaries.client_secret = intent["client_secret"].rpartition("_")[2]
    sandbox_stripe.add_fault("payment_intents.confirm", "error_before", times=1)
    alice.wait_for_end(alice.place()["id"])
    alice.cancel(paid["id"])
    alice.wait_for_end(paid["id"], among=("cancelled",))
    body = {"items": [{"sku": "MUG", "quantity": 1}], "payment_method": "pm_card_visa"}
    sent = {
        "Authorization": f"Bearer {canaries.token}",
        "Idempotency-Key": canaries.idempotency_key,
        "User-Agent": canaries.header,
        "baggage": f"customer={canaries.header}",
    }
    url = f"{installation.url}/api/v1/orders"
    answers = [
        urllib3.request("POST", url, json=body, headers=sent),
        urllib3.request("POST", url, json={**body, "note": canaries.mail}, headers=sent),
    ]
    wait_until(no_run_is_live)
    return [answer.data for answer in answers]


def send_bad_requests(installation: Installation, canaries: Canaries) -> list[bytes]:
    """Send requests of strangers and of faulty clients."""
    own = {
        "Authorization": f"Bearer {canaries.token}",
        "Idempotency-Key": str(uuid.uuid4()),
        "X-Forwarded-For": "203.0.113.7",
    }
    orders = f"{installation.url}/api/v1/orders"
    with_card = {"items": [], "payment_method": canaries.card}
    answers = [
        urllib3.request("POST", orders, json=with_card, headers=own),
        urllib3.request("POST", orders, body=f'{{"card": "{canaries.card}"', headers=own),
        urllib3.request("GET", f"{orders}?token={canaries.query}"),
        urllib3.request(
            "GET", orders, headers={"Authorization": f"Bearer {canaries.password}{'a1' * 29}"}
        ),
        urllib3.request("GET", f"{installation.url}/{canaries.path}?q={canaries.query}"),
        urllib3.request("GET", orders, headers={"Host": f"{canaries.path}.example"}),
        urllib3.request("GET", orders, headers={"Cookie": f"sessionid={canaries.password}"}),
    ]
    fail_to_log_in(installation, canaries)
    return [answer.data for answer in answers]


def fail_to_log_in(installation: Installation, canaries: Canaries) -> None:
    url = f"{installation.url}/admin/login/"
    page = urllib3.request("GET", url)
    cookies = page.headers.get("Set-Cookie", "").split(";")[0]
    value = cookies.partition("=")[2]
    for name in (canaries.staff_name, canaries.user_name):
        urllib3.request(
            "POST",
            url,
            fields={
                "username": name,
                "password": canaries.password,
                "csrfmiddlewaretoken": value,
            },
            headers={"Cookie": cookies, "Referer": url},
            redirect=False,
        )


def break_web_and_workers(alice: HttpStorefront, installation: Installation) -> list[bytes]:
    """Cause undeclared errors, with tracebacks, in a web process and in a worker."""
    with hidden("inventory_reservation"):
        placed = alice.place()
        installation.worker.wait_for_line("raised unexpected")
    with hidden("inventory_product"):
        answer = alice._post(
            "orders",
            {"items": [{"sku": "MUG", "quantity": 1}], "payment_method": "pm_card_visa"},
            {},
        )
    assert answer.status == 500
    alice.wait_for_end(placed["id"])
    wait_until(no_run_is_live)
    return [answer.data]


class hidden:  # noqa: N801 - a context manager
    """Hides a table by renaming it."""

    def __init__(self, table: str) -> None:
        self._table = table

    def __enter__(self) -> None:
        self._rename(self._table, "hidden")

    def __exit__(self, *_: object) -> None:
        self._rename("hidden", self._table)

    def _rename(self, source: str, target: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {source} RENAME TO {target}")


def start_with_wrong_passwords(
    sandbox_stripe: SandboxServer, canaries: Canaries, folder: Path
) -> bytes:
    """Return the output of programs that cannot reach the database or the broker."""
    environment = environment_for(sandbox_stripe)
    database = urlsplit(environment["DATABASE_URL"])
    address = f"{database.hostname}:{database.port}"
    wrong = f"{database.username}:{canaries.database_password}"
    output = b""
    for netloc in (f"{wrong}@{address}", f"{wrong}@127.0.0.1:1", f"{wrong}x/{address}"):
        finished = subprocess.run(
            [sys.executable, "manage.py", "sagas", "sweep"],
            cwd=ROOT,
            env={**environment, "DATABASE_URL": f"postgres://{netloc}/nothing"},
            capture_output=True,
            check=False,
        )
        assert finished.returncode != 0
        output += finished.stdout + finished.stderr
    worker = Program(
        folder / "lost_worker.log",
        {**environment, "REDIS_URL": f"redis://:{canaries.redis_password}@127.0.0.1:1/0"},
        *OWNED,
        *WORKER,
    )
    worker.wait_for_line("Cannot connect")
    worker.kill()
    return output + worker.log.read_bytes()


def found(text: bytes, canaries: Canaries) -> list[str]:
    """Return the names of the canaries in a text. An empty canary would be found in every text."""
    return [name for name, value in canaries.all().items() if value.encode() in text]


def scraped(folder: Path) -> bytes:
    registry: CollectorRegistry = build_registry(folder)
    return generate_latest(registry)


def is_json(log: bytes) -> bool:
    """Return whether each line is a JSON object with an event."""
    complete = log[: log.rindex(b"\n")]  # the last line may be incomplete
    return all("event" in json.loads(line) for line in complete.splitlines() if line.strip())


def test_sentry_and_opentelemetry_are_not_imported_without_their_settings(
    sandbox_stripe: SandboxServer,
) -> None:
    program = (
        # Redis' client imports OpenTelemetry's meters by itself, and does not use them.
        "import sys, django; django.setup(); import config.wsgi, sagas.tasks; "
        "print([m for m in ('sentry_sdk', 'opentelemetry.exporter', 'config.tracing') if m in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment_for(sandbox_stripe),
        capture_output=True,
        text=True,
        check=True,
    )

    assert finished.stdout == "[]\n"
