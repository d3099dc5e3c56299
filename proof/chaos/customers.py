"""The load: customers who start at planned times, even if earlier customers still wait."""

import random
import threading
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import urllib3

from proof.chaos.plan import SECOND_CARD, CustomerAnswer, ShopDecision, SubmitStyle, Visit
from proof.chaos.request_log import OrderResponse, RequestKind, RequestLog, RequestOutcome
from proof.chaos.wait_answers import (
    ANOTHER_PAYMENT,
    AUTHENTICATION,
    COMPLETE,
    FAIL,
    REVIEW,
    WaitAnswers,
    WaitControls,
)
from sandbox.drive.deadlines import Stopped, StopSignal
from sandbox.drive.shop import ENDED

RESPONSE_SECONDS: Final = 15
HANGS_UP_AFTER: Final = (0.005, 0.3)  # seconds: sometimes before the server reads the request
CONNECTIONS: Final = 200

PAYABLE_WAITS: Final = (AUTHENTICATION, ANOTHER_PAYMENT)

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
        controls: WaitControls,
        *,
        seed: int,
        patience_seconds: float,
    ) -> None:
        self._api = f"{base_url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False)
        self._answers = WaitAnswers(controls, self._http)
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
        """Read the order, less and less often, until it has ended; answer what it waits for."""
        read = ApiRequest(RequestKind.READ, f"orders/{order_id}")
        pays_otherwise: ApiRequest | None = None
        for _ in self._patience.attempts(self._patience_seconds, pause=0.5, longest=4):
            outcome, order = self._send(visit, read)
            has_ended = order is not None and order.status in ends
            if has_ended or outcome == RequestOutcome.REJECTED:
                return
            if order is None or visit.cancels_after is not None:
                continue
            self._end_wait(visit, order)
            if pays_otherwise is None and _wants_to_pay(visit, order):
                pays_otherwise = _another_payment(visit, order)
            # A payment that has been accepted is repeated too: its key makes that harmless.
            if pays_otherwise is not None and order.waits_for in PAYABLE_WAITS:
                self._send(visit, pays_otherwise)

    def _end_wait(self, visit: Visit, order: OrderResponse) -> None:
        """End what an order waits for as planned: at the bank, at the shop, or by its deadline."""
        is_left = visit.answer == CustomerAnswer.LEAVE
        if order.waits_for == REVIEW:
            is_left = visit.decision == ShopDecision.LEAVE
        if is_left and order.waits_for:
            kind, done = RequestKind.LEAVE, self._answers.pass_deadline(order.id, order.waits_for)
        elif order.waits_for == REVIEW:
            kind, done = RequestKind.DECIDE, self._answers.decide(order.id, visit.decision)
        elif order.waits_for == AUTHENTICATION and order.intent_id:
            result = FAIL if visit.answer == CustomerAnswer.ANOTHER_CARD else COMPLETE
            kind = RequestKind.AUTHENTICATE
            done = self._answers.authenticate(order.intent_id, result)
        else:
            return
        if done:
            self._request_log.write(visit.number, kind, RequestOutcome.ACKED, None, "")

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


def _wants_to_pay(visit: Visit, order: OrderResponse) -> bool:
    """Return whether the customer now pays by another card."""
    if visit.answer == CustomerAnswer.BOTH and order.payment_id:
        return True
    return visit.answer != CustomerAnswer.LEAVE and order.waits_for == ANOTHER_PAYMENT


def _another_payment(visit: Visit, order: OrderResponse) -> ApiRequest:
    body = {"payment_method": SECOND_CARD}
    if order.payment_id:
        body["replaces"] = order.payment_id
    headers = {"Idempotency-Key": visit.payment_key}
    return ApiRequest(RequestKind.PAY, f"orders/{order.id}/payments", headers, body)


def _outcome(status: int) -> RequestOutcome:
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return RequestOutcome.ACKED
    if status in _REPEATABLE or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RequestOutcome.UNKNOWN
    return RequestOutcome.REJECTED


def _order_response(row: dict[str, Any]) -> OrderResponse:
    waiting_for, action = row.get("waiting_for") or {}, row.get("next_action") or {}
    return OrderResponse(
        row["id"],
        row["status"],
        row["reason_code"],
        row["total_minor"],
        waits_for=waiting_for.get("code", ""),
        # Stripe's client secret begins with the id of its PaymentIntent.
        intent_id=action.get("client_secret", "").partition("_secret_")[0],
        payment_id=action.get("payment_id", ""),
    )
