"""The controls as a page for people: what the bank does wrong now, a menu of that, and its books."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from tornado import template

from sandbox.http_service.call_log import CallLog
from sandbox.http_service.faults import Fault, FaultMenu
from sandbox.http_service.http_server import Request, Response
from sandbox.stripe_api.account_summary import Books
from sandbox.stripe_api.bank import Bank

PAGE: Final = "/control"
FOLDER: Final = Path(__file__).parent / "page"
SHOWN: Final = 15
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Trouble(NamedTuple):
    """One way to go wrong that the page offers; ``rule`` is what goes on the fault menu."""

    title: str
    effect: str
    rule: Mapping[str, object]


def _trouble(
    title: str, effect: str, fault: Fault, *, operation: str = "*", latency_ms: int = 0
) -> Trouble:
    rule = {"operation": operation, "fault": fault, "latency_ms": latency_ms, "note": title}
    return Trouble(title, effect, rule)


_CHARGE: Final = "payment_intents.confirm"
TROUBLES: Final = {
    "slow": _trouble(
        "Slow",
        "Every answer is right, and takes three seconds longer.",
        Fault.LATENCY,
        latency_ms=3000,
    ),
    "charged-silent": _trouble(
        "Charges, then silence",
        "The card is charged, and the shop is never told.",
        Fault.TIMEOUT_AFTER,
        operation=_CHARGE,
    ),
    "charged-error": _trouble(
        "Charges, then error 500",
        "The card is charged, and the answer is an error.",
        Fault.ERROR_AFTER,
        operation=_CHARGE,
    ),
    "silent": _trouble("Silence", "Nothing is done, nothing answered.", Fault.TIMEOUT_BEFORE),
    "down": _trouble("Error 500", "Nothing is done, everything fails.", Fault.ERROR_BEFORE),
    "declines": _trouble("Declines", "Every card is declined.", Fault.DECLINE, operation=_CHARGE),
    "refuses-key": _trouble(
        "Refuses the key",
        "The shop's API key counts as revoked (401). Orders wait, and are flagged for the desk.",
        Fault.REFUSE_KEY,
    ),
}

HOW_OFTEN: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {
    "once": ("next call", {"times": 1}),
    "half": ("half of them", {"rate": 0.5}),
    "always": ("every call", {}),
}

_STATIC: Final = {"control.css": "text/css", "control.js": "text/javascript"}


class ControlPage:
    """Plain forms: it works without the script, which only redraws what has changed."""

    def __init__(self, bank: Bank, faults: FaultMenu, calls: CallLog) -> None:
        self._bank = bank
        self._faults = faults
        self._calls = calls
        self._templates = template.Loader(str(FOLDER))
        self._actions: Mapping[str, Callable[[Mapping[str, str]], None]] = {
            "add": self._add,
            "remove": self._remove,
            "clear": lambda _: self._faults.clear(),
        }

    @staticmethod
    def serves(path: str) -> bool:
        return path in {"/", PAGE} or path.startswith(f"{PAGE}/")

    async def respond(self, request: Request) -> Response:
        """Show the page or a part of it; a form that was sent leads back to the page."""
        name = request.path.removeprefix(PAGE).strip("/")
        if request.method == "POST":
            return self._act(name, request)
        if request.method != "GET":
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "GET and POST only")
        if name in _STATIC:
            content = (FOLDER / name).read_bytes()
            return Response(HTTPStatus.OK, content, HEADERS, content_type=_STATIC[name])
        if name not in {"", "now"}:
            return _text(HTTPStatus.NOT_FOUND, "There is no such page here.")
        self._bank.pass_time()
        await self._bank.ledger.durable()
        return self._rendered("now.html" if name else "control.html")

    def _act(self, action: str, request: Request) -> Response:
        try:
            fields = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            self._actions[action](fields)
        except (KeyError, ValueError):
            return _text(HTTPStatus.BAD_REQUEST, "The sandbox knows no such thing to do.")
        return Response(HTTPStatus.SEE_OTHER, b"", {**HEADERS, "Location": PAGE})

    def _add(self, fields: Mapping[str, str]) -> None:
        """Put a trouble before all others; the same one, asked for before, gives way to it."""
        trouble = TROUBLES[fields["trouble"]]
        _, rule = HOW_OFTEN[fields["often"]]
        for each in [each for each in self._faults if each.note == trouble.title]:
            self._faults.remove(each.id)
        self._faults.add({**trouble.rule, **rule}, before_all=True)

    def _remove(self, fields: Mapping[str, str]) -> None:
        self._faults.remove(int(fields["rule"]))  # gone already is as good

    def _rendered(self, name: str) -> Response:
        page = self._templates.load(name).generate(
            troubles=TROUBLES,
            how_often=HOW_OFTEN,
            rules=list(self._faults),
            in_words=_in_words,
            books=Books.read(self._bank.account, newest=SHOWN),
            calls=self._latest_calls(),
            calls_in_all=self._calls.last,
            ledger_entries=self._bank.ledger.appended,
        )
        return Response(HTTPStatus.OK, page, HEADERS, content_type="text/html; charset=utf-8")

    def _latest_calls(self) -> Sequence[Mapping[str, Any]]:
        return self._calls.since(self._calls.last - SHOWN)[::-1]


def _in_words(matches: Mapping[str, object]) -> str:
    return ", ".join(f"{name} is {value}" for name, value in matches.items()) or "all"


def _text(status: HTTPStatus, words: str) -> Response:
    return Response(status, words.encode(), HEADERS, content_type="text/plain; charset=utf-8")
