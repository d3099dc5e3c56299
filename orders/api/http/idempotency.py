"""Idempotency-Key: each key has one effect, however often the request is repeated.

Follows draft-ietf-httpapi-idempotency-key-header-07. No library stores the key in the same
transaction as the effect, as this module does. So neither exists without the other, and a failed
request leaves no key.
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

from orders.api.http.auth_context import account_of, grant_of
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem
from orders.api.http.request_schemas import RequestSchema
from orders.models import IdempotencyRecord

T = TypeVar("T")

HEADER: Final = "Idempotency-Key"

IN_FLIGHT_TIMEOUT: Final = "1s"
"""How long a repetition waits for the first request to commit."""

# No comma: servers join headers of the same name with it.
_KEY: Final = re.compile(r"[!#-+\x2d-~]{1,255}")

# The lock timeout is set first, and holds for everything that this transaction waits for.
_INSERT: Final = """
    WITH timeout AS MATERIALIZED (SELECT set_config('lock_timeout', %s, true))
    INSERT INTO orders_idempotencyrecord
        (customer_id, key, fingerprint, order_id, response_status, response_body)
    SELECT %s, %s, %s, %s, %s, %s FROM timeout
    ON CONFLICT (customer_id, key) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request with its caller, its key, and a digest of what it asks for."""

    caller_id: int
    key: str
    fingerprint: bytes

    @classmethod
    def of(cls, request: Request, body: RequestSchema) -> "IdempotentRequest":
        """Read the key of a request. Raises a Problem when it is missing or malformed.

        Guests have keys per order, apart from those of the account that issued their link. The
        fingerprint leaves out fields without a value: a field that is added later does not change
        the fingerprints of stored requests.
        """
        key, grant = _read_key(request), grant_of(request)
        scoped_key = f"{grant.order_id}:{key}" if grant.is_guest else key
        fingerprint = _fingerprint(request, body.model_dump(exclude_none=True))
        return cls(account_of(request).pk, scoped_key, fingerprint)


@dataclass(frozen=True, slots=True)
class SavedResponse:
    """The response that every repetition gets. Without a body, it shows the order as placed."""

    status: int
    body: str = ""


@dataclass(frozen=True, slots=True)
class Executed(Generic[T]):
    """This was the first request with its key; ``result`` is what the action returned."""

    result: T
    response: SavedResponse | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """An identical request came before: its order, and its response if one was saved."""

    order_id: UUID
    response: SavedResponse | None


def run_idempotent(
    request: IdempotentRequest,
    order_id: UUID,
    action: Callable[[], T],
    response: SavedResponse | None = None,
) -> Executed[T] | Replayed:
    """Run ``action`` unless the caller has used this key before.

    Key, ``response`` (when it is known beforehand) and the effects of ``action`` commit together.
    Of concurrent identical requests one runs the action, and the others wait for its commit. Raises a
    Problem when the key was used for another request, or when the first request has not committed
    within ``IN_FLIGHT_TIMEOUT``. An exception of ``action`` rolls the key back too.
    """
    with transaction.atomic():
        if _store_key(request, order_id, response):
            return Executed(action(), response)
    record = _records(request).get()
    if bytes(record.fingerprint) != request.fingerprint:
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_REUSED,
            "This Idempotency-Key was used for another request.",
            [FieldError(HEADER, "was used for another request", "header")],
        )
    return Replayed(record.order_id, _response_in(record))


def save_response(request: IdempotentRequest, response: SavedResponse) -> SavedResponse:
    """Save the response unless an earlier one is saved; return the one that counts.

    Call it before the response is sent. When a crash comes in between, no client has seen a
    response, and a repetition decides it again.
    """
    unanswered = _records(request).filter(response_status=None)
    with transaction.atomic():
        is_first = unanswered.update(response_status=response.status, response_body=response.body)
    return response if is_first else saved_response(request) or response


def saved_response(request: IdempotentRequest) -> SavedResponse | None:
    """Return the saved response; None before it is saved, or after the key has expired."""
    record = _records(request).first()
    return _response_in(record) if record else None


def _read_key(request: Request) -> str:
    value = request.headers.get(HEADER, "").strip()
    # The draft puts the key in quotes; most clients send it without.
    key = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    if not key:
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_MISSING,
            "Send an Idempotency-Key header with a new value for each new request.",
            [FieldError(HEADER, "is missing", "header")],
        )
    if "," in key:
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_INVALID,
            "There is more than one Idempotency-Key, or one with a comma, which is the same.",
            [FieldError(HEADER, "is more than one", "header")],
        )
    if not _KEY.fullmatch(key):
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_INVALID,
            "An Idempotency-Key has 1 to 255 visible ASCII characters without quotes.",
            [FieldError(HEADER, "is malformed", "header")],
        )
    return key


def _fingerprint(request: Request, body: Any) -> bytes:
    content = json.dumps([request.method, request.path, body], sort_keys=True)
    return hashlib.sha256(content.encode()).digest()


def _records(request: IdempotentRequest) -> QuerySet[IdempotencyRecord]:
    return IdempotencyRecord.objects.filter(customer_id=request.caller_id, key=request.key)


def _response_in(record: IdempotencyRecord) -> SavedResponse | None:
    if record.response_status is None:
        return None
    return SavedResponse(record.response_status, record.response_body)


def _store_key(request: IdempotentRequest, order_id: UUID, response: SavedResponse | None) -> bool:
    """Insert the key; return False when it exists. Waits for a transaction that inserts it now."""
    values = (
        IN_FLIGHT_TIMEOUT,
        request.caller_id,
        request.key,
        request.fingerprint,
        order_id,
        response.status if response else None,
        response.body if response else "",
    )
    with connection.cursor() as cursor:
        try:
            cursor.execute(_INSERT, values)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            raise Problem(
                ProblemType.IDEMPOTENCY_KEY_IN_FLIGHT,
                "The first request with this Idempotency-Key is still running. Repeat it shortly.",
                headers={"Retry-After": "1"},
            ) from None
        return int(cursor.rowcount) == 1
