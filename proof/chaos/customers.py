"""The load: customers who start at planned times, even if earlier customers still wait."""

import random
import threading
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import urllib3

from proof.chaos.plan import SubmitStyle, Visit
from proof.chaos.request_log import OrderResponse, RequestKind, RequestLog, RequestOutcome
from sandbox.drive.deadlines import Stopped, StopSignal
from sandbox.drive.shop import ENDED

RESPONSE_SECONDS: Final = 15
HANGS_UP_AFTER: Final = (0.005, 0.3)  # seconds: sometimes before the server reads the request
CONNECTIONS: Final = 200

# With these statuses the same request may be sent again under its key.
_REPEATABLE: Final = frozenset({HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})


class ApiRequest(NamedTuple):
    """One request to the API."""

    kind: RequestKind
    path: str
    headers: Mapping[str, str] = MappingProxyType({})
    body: object = None
    timeout: float = RESPONSE_SECONDS


class Customers:
    """An open loop of visits, one thread each. They write every response into the request log."""

    def __init__(
        self,
        base_url: str,
        token: str,
        request_log: RequestLog,
        *,
        seed: int,
        patience_seconds: float,
    ) -> None:
        self._api = f"{base_url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False)
        self._request_log = request_log
        self._seed = seed
        self._patience_seconds = patience_seconds
        self._patience = StopSignal()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self.longest_delay = 0.0
        """The longest delay of a visit, in seconds; with a long delay the loop was not open."""

    def start_visits(self, visits: Iterable[Visit], began: float) -> None:
        """Start each visit at its time. Returns after the last start, or after ``finish``."""
        for visit in visits:
            wait = began + visit.at - time.monotonic()
            self.longest_delay = max(self.longest_delay, -wait)
            if self._closed.wait(max(0.0, wait)):
                return
            thread = threading.Thread(target=self._run_visit, args=(visit,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def finish(self, seconds: float) -> None:
        """Start no more visits; wait for those in progress, and stop them after ``seconds``."""
        self._closed.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._patience.stop()
        for thread in self._threads:
            thread.join(2 * RESPONSE_SECONDS)

    def _run_visit(self, visit: Visit) -> None:
        try:
            response = self._place(visit)
            if response is None:
                return
            if visit.cancels_after is not None and visit.style != SubmitStyle.ABANDON:
                for _ in self._patience.attempts(visit.cancels_after, pause=0.1, longest=0.5):
                    pass
                self._cancel(visit, response.id)
                self._follow(visit, response.id, frozenset({"cancelled"}))
            else:
                self._follow(visit, response.id, ENDED)
        except Stopped:
            return

    def _place(self, visit: Visit) -> OrderResponse | None:
        order = _order(visit)
        if visit.style == SubmitStyle.ABANDON:
            dice = random.Random(f"{self._seed}/{visit.number}")  # noqa: S311 - repeatable
            hasty = order._replace(timeout=dice.uniform(*HANGS_UP_AFTER))
            return self._send(visit, hasty)[1]
        if visit.style == SubmitStyle.DOUBLE_CLICK:
            second_click = threading.Thread(target=self._send, args=(visit, order), daemon=True)
            second_click.start()
            response = self._send_until_known(visit, order)
            second_click.join()
            return response
        return self._send_until_known(visit, order)

    def _cancel(self, visit: Visit, order_id: str) -> None:
        headers = {"Idempotency-Key": visit.cancel_key}
        cancel = ApiRequest(RequestKind.CANCEL, f"orders/{order_id}/cancel", headers, {})
        self._send_until_known(visit, cancel)

    def _follow(self, visit: Visit, order_id: str, ends: frozenset[str]) -> None:
        """Read the order, less and less often, until it has ended."""
        read = ApiRequest(RequestKind.READ, f"orders/{order_id}")
        for _ in self._patience.attempts(self._patience_seconds, pause=0.5, longest=4):
            outcome, response = self._send(visit, read)
            has_ended = response is not None and response.status in ends
            if has_ended or outcome == RequestOutcome.REJECTED:
                return

    def _send_until_known(self, visit: Visit, request: ApiRequest) -> OrderResponse | None:
        """Repeat a request under the same key until its outcome is known."""
        for _ in self._patience.attempts(self._patience_seconds, pause=0.3, longest=8):
            outcome, response = self._send(visit, request)
            if outcome != RequestOutcome.UNKNOWN:
                return response
        return None

    def _send(
        self, visit: Visit, request: ApiRequest
    ) -> tuple[RequestOutcome, OrderResponse | None]:
        order = None
        try:
            response = self._http.request(
                "GET" if request.kind == RequestKind.READ else "POST",
                f"{self._api}/{request.path}",
                headers={**self._headers, **request.headers},
                json=request.body,
                timeout=request.timeout,
            )
            outcome = _outcome(response.status)
            detail = str(response.status)
            if outcome == RequestOutcome.ACKED:
                order = _order_response(response.json())
            elif outcome == RequestOutcome.REJECTED:
                detail = f"{response.status} {response.data.decode(errors='replace')[:200]}"
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            outcome, detail = RequestOutcome.UNKNOWN, type(error).__name__
        self._request_log.write(visit.number, request.kind, outcome, order, detail)
        return outcome, order


def _order(visit: Visit) -> ApiRequest:
    headers = {"Idempotency-Key": visit.key}
    if visit.waits:
        headers["Prefer"] = f"wait={visit.waits}"
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in visit.cart.items]
    body = {"items": items, "payment_method": visit.cart.payment_method}
    return ApiRequest(RequestKind.PLACE, "orders", headers, body)


def _outcome(status: int) -> RequestOutcome:
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return RequestOutcome.ACKED
    if status in _REPEATABLE or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RequestOutcome.UNKNOWN
    return RequestOutcome.REJECTED


def _order_response(row: dict[str, Any]) -> OrderResponse:
    return OrderResponse(row["id"], row["status"], row["reason_code"], row["total_minor"])
