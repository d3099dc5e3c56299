"""Runs schemathesis against the application in this process."""

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
_GOOD_METHOD: Final = re.compile(r"[!-~]{1,255}")
_GOOD_SECONDS: Final = re.compile(r"[0-9]|[12][0-9]|30")
_STRIPE_METHOD: Final = re.compile(r"pm_[A-Za-z0-9_]{1,252}")
"""The form that the installed provider accepts; the document allows more."""


@dataclass(frozen=True)
class Plan:
    """How many examples, with which token, and with which values."""

    token: str
    examples: int
    skus: Sequence[str]
    """Replace other SKUs: the schema does not know what is for sale."""
    values: Mapping[str, Sequence[str]]
    """Existing values of parameters and fields, used in four of five examples."""
    seed: int | None = None
    """None sends the same requests in each run."""
    only: str = ""
    """The only path to test; empty for all."""

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
            "dictionaries": {name: {"values": list(values)} for name, values in self.values.items()},
            "parameters": {
                name: {"dictionary": name, "probability": 0.8} for name in self.values
            },
        })  # fmt: skip


@dataclass
class Exploration:
    """The requests sent, by result."""

    responses: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Counts by operation and status."""
    findings: dict[str, str] = field(default_factory=dict)
    """The first failure of each kind, with the command that repeats it."""

    def add(self, event: events.EngineEvent) -> None:
        """Add what one event of schemathesis tells. Raises its fatal errors."""
        match event:
            case events.ScenarioFinished(recorder=recorder):
                for case_id, interaction in recorder.interactions.items():
                    if interaction.response is not None:
                        operation = recorder.cases[case_id].value.operation.label
                        self.responses[operation, interaction.response.status_code] += 1
                self.findings |= {**dict(_failures(recorder)), **self.findings}
            case events.NonFatalError(label=label, info=info):
                self.findings[f"{label}: {info.title}"] = info.traceback
            case events.FatalError(exception=exception):
                raise exception


def _failures(recorder: Any) -> Iterator[tuple[str, str]]:
    for case_id, checks in recorder.checks.items():
        operation = recorder.cases[case_id].value.operation.label
        for check in checks:
            if (info := check.failure_info) is not None:
                name = f"{operation}: {check.name}: {info.failure.title}"
                yield name, f"{info.failure.message}\n{info.code_sample}"


class Served:
    """The application for schemathesis' threads. ``close`` closes their database connections."""

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
        for connection in self._connections.values():
            connection.close()


def explore(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Exploration:
    """Send valid and invalid requests, and compare the responses with the document."""
    _remove_socket_options(monkeypatch)
    before_call = hook_for_requests(plan.skus)
    GLOBAL_HOOK_DISPATCHER.register_hook_with_name(before_call, "before_call")
    exploration = Exploration()
    application = Served()
    try:
        schema = schemathesis.openapi.from_wsgi("/api/schema", application, config=plan.config())
        # DELETE token would revoke the token of the run.
        chosen = schema.include(path=plan.only) if plan.only else schema.exclude(path=LOGGING_OUT)
        for event in engine.from_schema(chosen).execute():
            exploration.add(event)
    finally:
        GLOBAL_HOOK_DISPATCHER.unregister(before_call)
        application.close()
    return exploration


def _remove_socket_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove socket options, which schemathesis' checks pass to its WSGI client by mistake."""
    transport_kwargs = EngineContext.get_transport_kwargs

    def headers_only(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return {"headers": transport_kwargs(*args, **kwargs)["headers"]}

    monkeypatch.setattr(EngineContext, "get_transport_kwargs", headers_only)


def hook_for_requests(skus: Sequence[str]) -> Callable[[Any, Any, dict[str, Any]], None]:
    """Return a hook that sets what no schema has: SKUs, payment methods, and a key per request."""

    def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
        written = _for_sale(_as_written(case.body), skus)
        if repr(written) != repr(case.body):
            case.body = written
        if "cursor" in case.query:
            # Only cursors that this list has signed are valid.
            case.query = {name: value for name, value in case.query.items() if name != "cursor"}
        if _GOOD_SECONDS.fullmatch(str(case.query.get("wait", ""))):
            case.query = {**case.query, "wait": "0"}  # a test does not wait for decisions
        if _GOOD_KEY.fullmatch(str(case.headers.get(KEY, ""))):
            # A used key is refused with another body.
            content = repr([case.method, case.path, case.path_parameters, case.body])
            case.headers[KEY] = hashlib.sha256(content.encode()).hexdigest()

    return before_call


def _for_sale(body: Any, skus: Sequence[str]) -> Any:
    match body:
        case {"sku": str(sku), **rest} if _GOOD_SKU.fullmatch(sku):
            return {"sku": skus[len(sku) % len(skus)], **rest}
        case list():
            return [_for_sale(item, skus) for item in body]
        case dict():
            written = {name: _for_sale(value, skus) for name, value in body.items()}
            method = written.get("payment_method")
            if isinstance(method, str) and _GOOD_METHOD.fullmatch(method):
                known = _STRIPE_METHOD.fullmatch(method)
                written["payment_method"] = method if known else f"pm_{len(method)}"
            return written
        case _:
            return body


def _as_written(body: Any) -> Any:
    """Write whole numbers without a point: JSON Schema calls 2.0 an integer, the API does not."""
    match body:
        case float() if body.is_integer():
            return int(body)
        case list():
            return [_as_written(item) for item in body]
        case dict():
            return {name: _as_written(value) for name, value in body.items()}
        case _:
            return body
