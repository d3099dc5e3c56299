"""The load: customers who come when they come, whether or not those before them were served."""

import random
import threading
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import urllib3

from proof.chaos.history import History, Outcome, Request, Told
from proof.chaos.plan import Errand, Manner
from sandbox.drive.deadlines import Stopped, StopSignal
from sandbox.drive.shop import ENDED

ANSWER_SECONDS: Final = 15
HANGS_UP_AFTER: Final = (0.005, 0.3)  # seconds: some before the request was even read
CONNECTIONS: Final = 200

# The same request may be sent again under its key, and is answered in the end.
_ASK_AGAIN: Final = frozenset({HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})


class Ask(NamedTuple):
    """One request of the API."""

    request: Request
    path: str
    headers: Mapping[str, str] = MappingProxyType({})
    body: object = None
    timeout: float = ANSWER_SECONDS


class Customers:
    """An open loop of visits, one thread each. Everything they are told goes into the history."""

    def __init__(
        self, base_url: str, token: str, history: History, *, seed: int, patience_seconds: float
    ) -> None:
        self._api = f"{base_url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = urllib3.PoolManager(maxsize=CONNECTIONS, retries=False)
        self._history = history
        self._seed = seed
        self._patience_seconds = patience_seconds
        self._patience = StopSignal()
        self._doors_closed = threading.Event()
        self._visits: list[threading.Thread] = []
        self.latest_start = 0.0
        """How late a visit began, at worst: more than a little, and the loop was not open."""

    def arrive(self, errands: Iterable[Errand], began: float) -> None:
        """Let each come at its time. Returns when the last has come, or the doors are closed."""
        for errand in errands:
            wait = began + errand.at - time.monotonic()
            self.latest_start = max(self.latest_start, -wait)
            if self._doors_closed.wait(max(0.0, wait)):
                return
            visit = threading.Thread(target=self._visit, args=(errand,), daemon=True)
            self._visits.append(visit)
            visit.start()

    def finish(self, seconds: float) -> None:
        """Close the doors, let those inside finish, and after a while send them home."""
        self._doors_closed.set()
        deadline = time.monotonic() + seconds
        for visit in self._visits:
            visit.join(max(0.0, deadline - time.monotonic()))
        self._patience.stop()
        for visit in self._visits:
            visit.join(2 * ANSWER_SECONDS)

    def _visit(self, errand: Errand) -> None:
        try:
            told = self._place(errand)
            if told is None:
                return
            if errand.cancels_after is not None and errand.manner != Manner.ABANDON:
                for _ in self._patience.attempts(errand.cancels_after, pause=0.1, longest=0.5):
                    pass
                self._cancel(errand, told.id)
                self._follow(errand, told.id, frozenset({"cancelled"}))
            else:
                self._follow(errand, told.id, ENDED)
        except Stopped:
            return

    def _place(self, errand: Errand) -> Told | None:
        order = _order(errand)
        if errand.manner == Manner.ABANDON:
            dice = random.Random(f"{self._seed}/{errand.number}")  # noqa: S311 - repeatable
            hasty = order._replace(timeout=dice.uniform(*HANGS_UP_AFTER))
            return self._ask(errand, hasty)[1]
        if errand.manner == Manner.DOUBLE_CLICK:
            twin = threading.Thread(target=self._ask, args=(errand, order), daemon=True)
            twin.start()
            told = self._persist(errand, order)
            twin.join()
            return told
        return self._persist(errand, order)

    def _cancel(self, errand: Errand, order_id: str) -> None:
        headers = {"Idempotency-Key": errand.cancel_key}
        self._persist(errand, Ask(Request.CANCEL, f"orders/{order_id}/cancel", headers, {}))

    def _follow(self, errand: Errand, order_id: str, ends: frozenset[str]) -> None:
        """Look, ever less often, until the order has ended."""
        look = Ask(Request.LOOK, f"orders/{order_id}")
        for _ in self._patience.attempts(self._patience_seconds, pause=0.5, longest=4):
            outcome, told = self._ask(errand, look)
            if outcome == Outcome.REFUSED or (told is not None and told.status in ends):
                return

    def _persist(self, errand: Errand, ask: Ask) -> Told | None:
        """Repeat under the same key until it is known what became of it."""
        for _ in self._patience.attempts(self._patience_seconds, pause=0.3, longest=8):
            outcome, told = self._ask(errand, ask)
            if outcome != Outcome.UNKNOWN:
                return told
        return None

    def _ask(self, errand: Errand, ask: Ask) -> tuple[Outcome, Told | None]:
        told = None
        try:
            answer = self._http.request(
                "GET" if ask.request == Request.LOOK else "POST",
                f"{self._api}/{ask.path}",
                headers={**self._headers, **ask.headers},
                json=ask.body,
                timeout=ask.timeout,
            )
            outcome = _outcome(answer.status)
            detail = str(answer.status)
            if outcome == Outcome.ACKED:
                told = _told(answer.json())
            elif outcome == Outcome.REFUSED:
                detail = f"{answer.status} {answer.data.decode(errors='replace')[:200]}"
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            outcome, detail = Outcome.UNKNOWN, type(error).__name__
        self._history.write(errand.number, ask.request, outcome, told, detail)
        return outcome, told


def _order(errand: Errand) -> Ask:
    headers = {"Idempotency-Key": errand.key}
    if errand.waits:
        headers["Prefer"] = f"wait={errand.waits}"
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in errand.cart.items]
    body = {"items": items, "payment_method": errand.cart.payment_method}
    return Ask(Request.PLACE, "orders", headers, body)


def _outcome(status: int) -> Outcome:
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome.ACKED
    if status in _ASK_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.UNKNOWN
    return Outcome.REFUSED


def _told(row: dict[str, Any]) -> Told:
    return Told(row["id"], row["status"], row["reason_code"], row["total_minor"])
