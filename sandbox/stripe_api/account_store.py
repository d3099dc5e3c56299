"""The account with its ledger, idempotency keys and clock. Calls take effect here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.http_service.clock import Clock
from sandbox.http_service.idempotency import (
    IdempotencyKeys,
    KeyInUse,
    KeyReused,
    KeyTooLong,
    SavedResponse,
)
from sandbox.http_service.json_values import encode
from sandbox.stripe_api.account import Account
from sandbox.stripe_api.errors import ApiError, key_in_use, key_reused, key_too_long, server_error
from sandbox.stripe_api.ledger import Ledger, LedgerEntry
from sandbox.stripe_api.operations import Call, Operation, OperationResult
from sandbox.stripe_api.records import Record
from sandbox.stripe_api.settlement import apply_due_changes


@dataclass(frozen=True)
class KeyedRequest:
    """A request's idempotency key, with the path and parameters that belong to it."""

    key: str
    path: str
    fingerprint: str


@dataclass(frozen=True)
class ApiResponse:
    """The response to one API call, before a fault can change its delivery."""

    status: int
    body: str
    object_id: str
    replayed: bool = False


class AccountStore:
    """The state of the sandbox, rebuilt from its ledger at the start.

    Changes happen without an ``await`` in between, so calls never overlap. ``ledger.durable()``
    waits until they are on disk.
    """

    def __init__(self, ledger_path: Path) -> None:
        self.account = Account()
        self.clock = Clock()
        self.keys = IdempotencyKeys()
        self.ledger = Ledger(ledger_path)
        for entry in self.ledger.replay():
            self._remember(entry)

    def start_over(self) -> None:
        """Forget everything, and empty the ledger."""
        self.ledger.empty()
        self.account = Account()
        self.clock = Clock()
        self.keys = IdempotencyKeys()

    def process_due_changes(self) -> int:
        """Settle refunds and release authorizations that are due, and return the time."""
        now = self.clock.now()
        if changes := apply_due_changes(self.account, now):
            self.ledger.append(LedgerEntry(now, changes))
        return now

    def record(self, changes: Sequence[Record], *, now: int) -> None:
        """Write changes that no API call made to the ledger, and make them take effect."""
        entry = LedgerEntry(now, list(changes))
        self.ledger.append(entry)
        self._remember(entry)

    def advance_clock(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.ledger.append(LedgerEntry(self.clock.now(), [], advanced_by=self.clock.advanced_by))

    def find_saved(self, keyed: KeyedRequest) -> ApiResponse | None:
        """Return the response saved under the key, or None.

        Raises ``ApiError`` if the key is in use, or belongs to another request.
        """
        try:
            saved = self.keys.find(
                keyed.key, path=keyed.path, fingerprint=keyed.fingerprint, now=self.clock.now()
            )
        except KeyTooLong:
            raise key_too_long() from None
        except KeyInUse:
            raise key_in_use(keyed.key) from None
        except KeyReused as error:
            where = f"for the same endpoint ('{error.path}')"
            differs = where if error.path else "with the same parameters"
            raise key_reused(keyed.key, differs=differs) from None
        if saved is None:
            return None
        return ApiResponse(saved.status, saved.body, saved.object_id, replayed=True)

    def execute(
        self, operation: Operation, call: Call, keyed: KeyedRequest | None, *, fails_after: bool
    ) -> ApiResponse:
        """Run the operation, and save its response under the key, in one ledger line.

        With ``fails_after`` the operation takes effect, but the response (also the saved one) is an
        error 500. Raises ``ApiError``, and saves nothing, if the request is rejected before the
        operation begins.
        """
        result = self._result(operation, call)
        if fails_after:
            error = server_error()
            result = OperationResult(error.body(), result.object_id, result.changes, error.status)
        body = encode(result.body)
        saved = None
        if keyed is not None:
            saved = SavedResponse(
                keyed.key,
                call.now,
                keyed.path,
                keyed.fingerprint,
                result.status,
                body,
                result.object_id,
            )
        if saved is not None or result.changes:
            entry = LedgerEntry(call.now, list(result.changes), saved)
            self.ledger.append(entry)
            self._remember(entry)
        return ApiResponse(result.status, body, result.object_id)

    def _result(self, operation: Operation, call: Call) -> OperationResult:
        try:
            return operation(self.account, call)
        except ApiError as error:
            if not error.saved:
                raise
            return OperationResult(error.body(), call.target, status=error.status)

    def _remember(self, entry: LedgerEntry) -> None:
        for record in entry.changes:
            self.account.apply(record)
        if entry.saved is not None:
            self.keys.save(entry.saved)
        self.clock.resume(
            latest=entry.at,
            advanced_by=self.clock.advanced_by if entry.advanced_by is None else entry.advanced_by,
        )
