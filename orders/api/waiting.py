"""Waiting for an order to get somewhere, without a query for each client that waits.

One thread in each process looks at all awaited orders together, and only while there are any.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, close_old_connections
from rest_framework.request import Request

from orders.models import Order, Reached

log = logging.getLogger(__name__)

LONGEST_SECONDS: Final = 10
LOOK_EVERY_SECONDS: Final = 0.02
"""While somebody waits for the answer to a request."""
GLANCE_EVERY_SECONDS: Final = 0.2
"""While there are only those who watch an order's progress."""
LOOK_AGAIN_SECONDS: Final = 1.0
"""After the database has not answered."""

# RFC 7240, section 2: preferences between commas, each with a value and, after semicolons,
# parameters of its own. A value is a token or a quoted string. The client chooses the text: no
# repetition gives anything back (``++``, ``*+``), so the cost is linear in its length.
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # noqa: S105 - of a grammar
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_ELEMENT: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))+')
_PREFERENCE: Final = re.compile(
    rf"[ \t]*+({_TOKEN})[ \t]*+(?:=[ \t]*+({_TOKEN}|{_QUOTED}))?[ \t]*+(?:;.*)?", re.DOTALL
)
_SECONDS: Final = re.compile(r'"?0*+([0-9]{0,6}+)[0-9]*+"?')


def seconds_to_wait(request: Request) -> int:
    """Return what ``Prefer: wait=N`` (RFC 7240) asks for, at most ten seconds; 0 without it.

    Of several the first counts; what is none, or makes no sense, is ignored.
    """
    for element in _ELEMENT.findall(request.headers.get("Prefer", "")):
        found = _PREFERENCE.fullmatch(element)
        if found and found[1].lower() == "wait":
            seconds = _SECONDS.fullmatch(found[2] or "")
            return min(int(seconds[1] or 0), LONGEST_SECONDS) if seconds else 0
    return 0


@dataclass(frozen=True, slots=True)
class Awaited:
    """What somebody waits for: that an order has the right status, or is far enough."""

    order_id: UUID
    is_there: Callable[[str, Reached], bool]
    is_urgent: bool


class Watcher:
    """Wakes those who wait for orders to get somewhere."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._awaited: dict[threading.Event, Awaited] = {}
        self._thread: threading.Thread | None = None

    def wait(self, order_id: UUID, statuses: Collection[str], seconds: float) -> None:
        """Return once the order has one of ``statuses``, or after ``seconds``."""
        wanted = Awaited(order_id, lambda status, _: status in statuses, is_urgent=True)
        self._wait(wanted, seconds)

    def wait_for_news(self, order_id: UUID, seen: Reached, seconds: float) -> bool:
        """Return whether the order got further than was ``seen`` within ``seconds``."""
        wanted = Awaited(order_id, lambda _, reached: reached > seen, is_urgent=False)
        return self._wait(wanted, seconds)

    def _wait(self, wanted: Awaited, seconds: float) -> bool:
        reached = threading.Event()
        with self._changed:
            self._awaited[reached] = wanted
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="waiting", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            return reached.wait(seconds)
        finally:
            with self._changed:
                self._awaited.pop(reached, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._awaited:
                    self._changed.wait()
                awaited = dict(self._awaited)
            close_old_connections()
            try:
                self._look(awaited)
            except (OperationalError, InterfaceError):
                log.exception("waiting.database_unavailable")
                time.sleep(LOOK_AGAIN_SECONDS)  # noqa: TID251 - as below
                continue
            time.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251 - the pace of one thread, not of a request
            with self._changed:
                # Whoever comes meanwhile and is in a hurry ends the longer pause.
                pause = GLANCE_EVERY_SECONDS - LOOK_EVERY_SECONDS
                self._changed.wait_for(self._is_anybody_urgent, pause)

    def _is_anybody_urgent(self) -> bool:
        return any(each.is_urgent for each in self._awaited.values())

    def _look(self, awaited: dict[threading.Event, Awaited]) -> None:
        ids = {each.order_id for each in awaited.values()}
        orders = Order.objects.with_wish_to_cancel().filter(pk__in=ids)
        found = {each.pk: each for each in orders.only("status", "version")}
        for reached, wanted in awaited.items():
            order = found.get(wanted.order_id)
            if order and wanted.is_there(order.status, order.reached):
                reached.set()


watcher = Watcher()
