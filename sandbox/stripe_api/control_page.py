"""The control page of the Stripe sandbox: active faults, faults to add, payments, latest calls.

A payment that waits for its customer has a link to its page of ``authentication_page``.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from tornado import template

from sandbox.http_service.call_log import CallLog
from sandbox.http_service.faults import Fault, FaultMenu
from sandbox.http_service.http_server import Request, Response
from sandbox.stripe_api.account_store import AccountStore
from sandbox.stripe_api.account_summary import AccountSummary
from sandbox.stripe_api.confirmation import AUTHENTICATION_PAGE

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


class FaultPreset(NamedTuple):
    """A fault that the page offers; ``rule`` has the fields of its fault rule."""

    title: str
    effect: str
    rule: Mapping[str, object]


def _preset(
    title: str, effect: str, fault: Fault, *, operation: str = "*", latency_ms: int = 0
) -> FaultPreset:
    rule = {"operation": operation, "fault": fault, "latency_ms": latency_ms, "note": title}
    return FaultPreset(title, effect, rule)


_CHARGE: Final = "payment_intents.confirm"
FAULT_PRESETS: Final = {
    "slow": _preset(
        "Slow",
        "Every response is correct, and three seconds late.",
        Fault.LATENCY,
        latency_ms=3000,
    ),
    "charged-silent": _preset(
        "Charges, then silence",
        "The card is charged, and no response is sent.",
        Fault.TIMEOUT_AFTER,
        operation=_CHARGE,
    ),
    "charged-error": _preset(
        "Charges, then error 500",
        "The card is charged, and the response is an error.",
        Fault.ERROR_AFTER,
        operation=_CHARGE,
    ),
    "silent": _preset("Silence", "Nothing is done, and no response is sent.", Fault.TIMEOUT_BEFORE),
    "down": _preset(
        "Error 500", "Nothing is done, and every response is an error.", Fault.ERROR_BEFORE
    ),
    "declines": _preset("Declines", "Every card is declined.", Fault.DECLINE, operation=_CHARGE),
    "refuses-key": _preset(
        "Refuses the key",
        "The shop's API key is rejected as revoked (401). Orders wait, and are flagged for the staff.",
        Fault.REFUSE_KEY,
    ),
}

FREQUENCIES: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {
    "once": ("next call", {"times": 1}),
    "half": ("half of the calls", {"rate": 0.5}),
    "always": ("every call", {}),
}

_STATIC: Final = {"control.css": "text/css", "control.js": "text/javascript"}


class ControlPage:
    """A page with plain forms. It works without its script, which only redraws the live part."""

    def __init__(self, store: AccountStore, faults: FaultMenu, calls: CallLog) -> None:
        self._store = store
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
        """Return the page, its live part or a static file. A submitted form redirects to the page."""
        name = request.path.removeprefix(PAGE).strip("/")
        if request.method == "POST":
            return self._act(name, request)
        if request.method != "GET":
            return text_page(HTTPStatus.METHOD_NOT_ALLOWED, "GET and POST only")
        if name in _STATIC:
            content = (FOLDER / name).read_bytes()
            return Response(HTTPStatus.OK, content, HEADERS, content_type=_STATIC[name])
        if name not in {"", "now"}:
            return text_page(HTTPStatus.NOT_FOUND, "There is no such page here.")
        self._store.process_due_changes()
        await self._store.ledger.durable()
        return self._rendered("now.html" if name else "control.html")

    def _act(self, action: str, request: Request) -> Response:
        try:
            fields = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            self._actions[action](fields)
        except (KeyError, ValueError):
            return text_page(
                HTTPStatus.BAD_REQUEST, "There is no such action, or a field is missing or wrong."
            )
        return Response(HTTPStatus.SEE_OTHER, b"", {**HEADERS, "Location": PAGE})

    def _add(self, fields: Mapping[str, str]) -> None:
        """Add a preset before all other rules. Replaces the rule of the same preset."""
        preset = FAULT_PRESETS[fields["preset"]]
        _, frequency = FREQUENCIES[fields["frequency"]]
        for old in [rule for rule in self._faults if rule.note == preset.title]:
            self._faults.remove(old.id)
        self._faults.add({**preset.rule, **frequency}, first=True)

    def _remove(self, fields: Mapping[str, str]) -> None:
        self._faults.remove(int(fields["rule"]))  # no error if it is gone already

    def _rendered(self, name: str) -> Response:
        page = self._templates.load(name).generate(
            presets=FAULT_PRESETS,
            frequencies=FREQUENCIES,
            rules=list(self._faults),
            describe_match=_describe_match,
            summary=AccountSummary.read(self._store.account, newest=SHOWN),
            calls=self._latest_calls(),
            calls_in_all=self._calls.last,
            ledger_entries=self._store.ledger.appended,
            authentication_page=AUTHENTICATION_PAGE,
        )
        return Response(HTTPStatus.OK, page, HEADERS, content_type="text/html; charset=utf-8")

    def _latest_calls(self) -> Sequence[Mapping[str, Any]]:
        return self._calls.since(self._calls.last - SHOWN)[::-1]


def _describe_match(match: Mapping[str, object]) -> str:
    return ", ".join(f"{name} is {value}" for name, value in match.items()) or "all"


def text_page(status: HTTPStatus, text: str) -> Response:
    return Response(status, text.encode(), HEADERS, content_type="text/plain; charset=utf-8")
