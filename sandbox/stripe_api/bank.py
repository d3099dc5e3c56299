"""The account together with its ledger, its keys and its clock: where calls take effect."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.http_service.clock import Clock
from sandbox.http_service.idempotency import (
    IdempotencyKeys,
    KeyInUse,
    KeyReused,
    KeyTooLong,
    SavedAnswer,
)
from sandbox.http_service.json_values import encode
from sandbox.stripe_api.account import Account
from sandbox.stripe_api.errors import ApiError, key_in_use, key_reused, key_too_long, server_error
from sandbox.stripe_api.ledger import Entry, Ledger
from sandbox.stripe_api.operations import Call, Operation, Outcome
from sandbox.stripe_api.settlement import due_changes


@dataclass(frozen=True)
class Claim:
    """The idempotency key that a request came with, and what it was used for."""

    key: str
    path: str
    fingerprint: str


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    object_id: str
    replayed: bool = False


class Bank:
    """Effects happen between two awaits, so calls never overlap; ``durable`` makes them last."""

    def __init__(self, ledger_path: Path) -> None:
        self.account = Account()
        self.clock = Clock()
        self.keys = IdempotencyKeys()
        self.ledger = Ledger(ledger_path)
        for entry in self.ledger.replay():
            self._remember(entry)

    def start_over(self) -> None:
        """Forget everything that ever happened, in the ledger too."""
        self.ledger.empty()
        self.account = Account()
        self.clock = Clock()
        self.keys = IdempotencyKeys()

    def pass_time(self) -> int:
        """Let happen what has become due, and return the time."""
        now = self.clock.now()
        if changes := due_changes(self.account, now):
            self.ledger.append(Entry(now, changes))
        return now

    def advance_clock(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.ledger.append(Entry(self.clock.now(), [], advanced_by=self.clock.advanced_by))

    def find_saved(self, claim: Claim) -> Answer | None:
        """Raises ``ApiError`` when the key is in use, or was used for another request."""
        try:
            saved = self.keys.find(
                claim.key, path=claim.path, fingerprint=claim.fingerprint, now=self.clock.now()
            )
        except KeyTooLong:
            raise key_too_long() from None
        except KeyInUse:
            raise key_in_use(claim.key) from None
        except KeyReused as error:
            where = f"for the same endpoint ('{error.path}')"
            differs = where if error.path else "with the same parameters"
            raise key_reused(claim.key, differs=differs) from None
        if saved is None:
            return None
        return Answer(saved.status, saved.body, saved.object_id, replayed=True)

    def execute(
        self, operation: Operation, call: Call, claim: Claim | None, *, answer_error: bool
    ) -> Answer:
        """Do it, and save the answer under its key; both stand or fall by one ledger line.

        With ``answer_error`` it is done all the same, but answered (and saved) as a 500.
        Raises ``ApiError`` when the call was refused before it began: nothing is saved then.
        """
        outcome = self._outcome(operation, call)
        if answer_error:
            error = server_error()
            outcome = Outcome(error.body(), outcome.object_id, outcome.changes, error.status)
        body = encode(outcome.body)
        saved = None
        if claim is not None:
            saved = SavedAnswer(
                claim.key,
                call.now,
                claim.path,
                claim.fingerprint,
                outcome.status,
                body,
                outcome.object_id,
            )
        if saved is not None or outcome.changes:
            entry = Entry(call.now, list(outcome.changes), saved)
            self.ledger.append(entry)
            self._remember(entry)
        return Answer(outcome.status, body, outcome.object_id)

    def _outcome(self, operation: Operation, call: Call) -> Outcome:
        try:
            return operation(self.account, call)
        except ApiError as error:
            if not error.saved:
                raise
            return Outcome(error.body(), call.target, status=error.status)

    def _remember(self, entry: Entry) -> None:
        for record in entry.changes:
            self.account.apply(record)
        if entry.saved is not None:
            self.keys.save(entry.saved)
        self.clock.resume(
            latest=entry.at,
            advanced_by=self.clock.advanced_by if entry.advanced_by is None else entry.advanced_by,
        )
