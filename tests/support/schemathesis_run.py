"""Schemathesis on the application in this process: what it sends, and what it finds."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events
from schemathesis.engine.context import EngineContext
from schemathesis.hooks import GLOBAL_HOOK_DISPATCHER

KEY: Final = "Idempotency-Key"
LOGGING_OUT: Final = "/api/v1/token"
_GOOD_KEY: Final = re.compile(r"[!#-+\x2d-~]{1,255}")
_GOOD_SKU: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Plan:
    """How much is tried, as whom, and with what that means something here."""

    token: str
    examples: int
    skus: Sequence[str]
    """Whatever else a SKU could be becomes one of these, since no schema knows what is for sale."""
    words: Mapping[str, Sequence[str]]
    """What a parameter or a field of a body may well be, four times in five."""
    seed: int | None = None
    """None tries the same every time."""
    only: str = ""
    """The path that is looked at; all of them when empty."""

    def config(self) -> SchemathesisConfig:
        return SchemathesisConfig.from_dict({
            "workers": 1,
            "continue-on-failure": True,
            "seed": self.seed or 0,
            "auth": {"openapi": {"token": {"bearer": self.token}}},
            "generation": {
                "max-examples": self.examples,
                "deterministic": self.seed is None,
                "database": "none",
            },
            # Chains of operations: each example is several requests.
            "phases": {"stateful": {"generation": {"max-examples": max(self.examples // 4, 1)}}},
            "dictionaries": {place: {"values": list(each)} for place, each in self.words.items()},
            "parameters": {
                place: {"dictionary": place, "probability": 0.8} for place in self.words
            },
        })  # fmt: skip


@dataclass
class Exploration:
    """What was sent, and what came of it."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How many, by operation and status."""
    findings: dict[str, str] = field(default_factory=dict)
    """The first of each kind, with the command that repeats it."""

    def take(self, event: events.EngineEvent) -> None:
        match event:
            case events.ScenarioFinished(recorder=recorder):
                for case_id, each in recorder.interactions.items():
                    if each.response is not None:
                        operation = recorder.cases[case_id].value.operation.label
                        self.answers[operation, each.response.status_code] += 1
                self.findings |= {**dict(_findings(recorder)), **self.findings}
            case events.NonFatalError(label=label, info=info):
                self.findings[f"{label}: {info.title}"] = info.traceback
            case events.FatalError(exception=exception):
                raise exception


def _findings(recorder: Any) -> Iterator[tuple[str, str]]:
    for case_id, checks in recorder.checks.items():
        operation = recorder.cases[case_id].value.operation.label
        for check in checks:
            if (info := check.failure_info) is not None:
                name = f"{operation}: {check.name}: {info.failure.title}"
                yield name, f"{info.failure.message}\n{info.code_sample}"


class Served:
    """The application as schemathesis' own threads call it; their connections end with it."""

    def __init__(self) -> None:
        self._handler = WSGIHandler()
        self._connections: dict[int, Any] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        connection = connections["default"]
        if id(connection) not in self._connections:
            connection.inc_thread_sharing()
            self._connections[id(connection)] = connection
        return self._handler(environ, start_response)

    def close(self) -> None:
        for each in self._connections.values():
            each.close()


def explore(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Exploration:
    """Send what the document allows and what it forbids, and compare the answers with it."""
    _leave_sockets_out(monkeypatch)
    before_call = as_a_client_would(plan.skus)
    GLOBAL_HOOK_DISPATCHER.register_hook_with_name(before_call, "before_call")
    found = Exploration()
    application = Served()
    try:
        schema = schemathesis.openapi.from_wsgi("/api/schema", application, config=plan.config())
        # After a token has revoked itself there is nothing left to explore with.
        chosen = schema.include(path=plan.only) if plan.only else schema.exclude(path=LOGGING_OUT)
        for event in engine.from_schema(chosen).execute():
            found.take(event)
    finally:
        GLOBAL_HOOK_DISPATCHER.unregister(before_call)
        application.close()
    return found


def _leave_sockets_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Schemathesis' checks hand its WSGI client settings of sockets, which that does not know."""
    transport_kwargs = EngineContext.get_transport_kwargs

    def headers_alone(*given: Any, **named: Any) -> dict[str, Any]:
        return {"headers": transport_kwargs(*given, **named)["headers"]}

    monkeypatch.setattr(EngineContext, "get_transport_kwargs", headers_alone)


def as_a_client_would(skus: Sequence[str]) -> Callable[[Any, Any, dict[str, Any]], None]:
    """Have sent what follows from no schema: what is for sale, and a key for each purpose."""

    def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
        written = _for_sale(_as_written(case.body), skus)
        if repr(written) != repr(case.body):
            case.body = written
        if "cursor" in case.query:
            # Good is one that was given out for this very list, and any other is refused.
            case.query = {name: each for name, each in case.query.items() if name != "cursor"}
        if _GOOD_KEY.fullmatch(str(case.headers.get(KEY, ""))):
            # With another body, a key that was used is refused.
            purpose = repr([case.method, case.path, case.path_parameters, case.body])
            case.headers[KEY] = hashlib.sha256(purpose.encode()).hexdigest()

    return before_call


def _for_sale(body: Any, skus: Sequence[str]) -> Any:
    match body:
        case {"sku": str(sku), **rest} if _GOOD_SKU.fullmatch(sku):
            return {"sku": skus[len(sku) % len(skus)], **rest}
        case list():
            return [_for_sale(each, skus) for each in body]
        case dict():
            return {name: _for_sale(value, skus) for name, value in body.items()}
        case _:
            return body


def _as_written(body: Any) -> Any:
    """Write whole numbers without a point: JSON Schema calls 2.0 an integer, the API does not."""
    match body:
        case float() if body.is_integer():
            return int(body)
        case list():
            return [_as_written(each) for each in body]
        case dict():
            return {name: _as_written(value) for name, value in body.items()}
        case _:
            return body
