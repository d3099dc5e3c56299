"""Requests that a client may repeat: one effect for each of its keys.

After draft-ietf-httpapi-idempotency-key-header-07, and as Stripe does it: the key is stored in
the transaction of the effect, so there is never one without the other, and a request that failed
leaves no trace of its key.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from psycopg.errors import LockNotAvailable
from rest_framework.request import Request

from orders.api.http.auth_context import caller, grant_of
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem
from orders.api.http.request_schemas import Body
from orders.models import IdempotencyRecord

T = TypeVar("T")

IN_FLIGHT_PATIENCE: Final = "1s"
"""How long a repetition waits for the first request to end."""

# No comma: servers join headers of the same name with it.
_KEY: Final = re.compile(r"[!#-+\x2d-~]{1,255}")

# The patience is set first, and holds for all that this transaction waits for.
_INSERT: Final = """
    WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', %s, true))
    INSERT INTO orders_idempotencyrecord
        (customer_id, key, fingerprint, order_id, answer_status, answer_body)
    SELECT %s, %s, %s, %s, %s, %s FROM patience
    ON CONFLICT (customer_id, key) DO NOTHING
"""


def key_of(request: Request) -> str:
    """Return the request's key. Raises a Problem when there is none, or none that can be saved_response."""
    given = request.headers.get("Idempotency-Key", "").strip()
    # The draft has it in quotes; most clients send it bare.
    key = given[1:-1] if len(given) > 1 and given[0] == given[-1] == '"' else given
    if not key:
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_MISSING,
            "Send an Idempotency-Key header with a value of its own for each purpose.",
            [FieldError("Idempotency-Key", "is missing", "header")],
        )
    if "," in key:
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_INVALID,
            "There is more than one Idempotency-Key, or one with a comma, which is the same.",
            [FieldError("Idempotency-Key", "is more than one", "header")],
        )
    if not _KEY.fullmatch(key):
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_INVALID,
            "An Idempotency-Key has 1 to 255 visible ASCII characters, none of them a quote.",
            [FieldError("Idempotency-Key", "is not a key", "header")],
        )
    return key


def fingerprint_of(request: Request, body: Any) -> bytes:
    """Return a digest of what is asked for; what a repetition must have in common."""
    asked = json.dumps([request.method, request.path, body], sort_keys=True)
    return hashlib.sha256(asked.encode()).digest()


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """What somebody wants to happen once: a key of theirs, and what they ask for under it."""

    caller_id: int
    key: str
    fingerprint: bytes


def idempotent_request(request: Request, body: Body) -> IdempotentRequest:
    """Return what a request is for.

    Whoever follows a guest's link has keys of his own, not those of the one who made it. Of the
    body counts what is said: a field that is added later leaves older fingerprints as they are.
    """
    key, grant = key_of(request), grant_of(request)
    fingerprint = fingerprint_of(request, body.model_dump(exclude_none=True))
    scoped = f"{grant.order_id}:{key}" if grant.is_guest else key
    return IdempotentRequest(caller(request).pk, scoped, fingerprint)


@dataclass(frozen=True, slots=True)
class Answer:
    """What whoever asked is told: JSON, or nothing for the order as it was placed."""

    status: int
    body: str = ""


@dataclass(frozen=True, slots=True)
class Executed(Generic[T]):
    """The request was the first with its key; ``result`` is what its effect returned."""

    result: T
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """An equal request came before; it was about this order, and answered so, if it was."""

    order_id: UUID
    answer: Answer | None


def run_idempotent(
    purpose: IdempotentRequest, order_id: UUID, act: Callable[[], T], answer: Answer | None = None
) -> Executed[T] | Replayed:
    """Run ``act`` unless the caller has used this key before; then say what it was about.

    ``answer`` is saved_response together with the effect, where it is known beforehand; ``keep`` does it
    where it is not. Of any number of equal requests at the same time one acts, and the others wait
    for it. Raises a Problem for a key that was used for something else, or whose first request is
    still in flight after a second. Whatever ``act`` raises undoes the key too.
    """
    with transaction.atomic():
        if _take(purpose, order_id, answer):
            return Executed(act(), answer)
    earlier = _record_of(purpose).get()
    if bytes(earlier.fingerprint) != purpose.fingerprint:
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_REUSED,
            "This Idempotency-Key was used for another request.",
            [FieldError("Idempotency-Key", "was used for another request", "header")],
        )
    return Replayed(earlier.order_id, _answer_in(earlier))


def save_response(purpose: IdempotentRequest, answer: Answer) -> Answer:
    """Keep what is answered, unless an equal request was answered before; return what counts.

    So the answer is decided once, by whoever is answered first. It is saved_response before it is sent: one
    that a crash prevented was seen by nobody, and a repetition is answered anew.
    """
    unanswered = _record_of(purpose).filter(answer_status=None)
    with transaction.atomic():
        is_first = unanswered.update(answer_status=answer.status, answer_body=answer.body)
    return answer if is_first else saved_response(purpose) or answer


def saved_response(purpose: IdempotentRequest) -> Answer | None:
    """Return what was answered by now, and saved_response; None where it is still open, or forgotten."""
    earlier = _record_of(purpose).first()
    return _answer_in(earlier) if earlier else None


def _record_of(purpose: IdempotentRequest) -> QuerySet[IdempotencyRecord]:
    return IdempotencyRecord.objects.filter(customer_id=purpose.caller_id, key=purpose.key)


def _answer_in(record: IdempotencyRecord) -> Answer | None:
    if record.answer_status is None:
        return None
    return Answer(record.answer_status, record.answer_body)


def _take(purpose: IdempotentRequest, order_id: UUID, answer: Answer | None) -> bool:
    """Store the key; False when it is there already. Waits for a transaction that stores it now."""
    values = (
        IN_FLIGHT_PATIENCE,
        purpose.caller_id,
        purpose.key,
        purpose.fingerprint,
        order_id,
        answer.status if answer else None,
        answer.body if answer else "",
    )
    with connection.cursor() as cursor:
        try:
            cursor.execute(_INSERT, values)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            raise Problem(
                ProblemType.IDEMPOTENCY_KEY_IN_FLIGHT,
                "The first request with this Idempotency-Key is not done yet. Repeat it shortly.",
                headers={"Retry-After": "1"},
            ) from None
        return int(cursor.rowcount) == 1
