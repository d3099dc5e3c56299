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

from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable
from rest_framework.request import Request

from access.grants import Grant
from orders.api.problem_types import ProblemType
from orders.api.problems import FieldError, Problem
from orders.models import IdempotencyRecord

T = TypeVar("T")

IN_FLIGHT_PATIENCE: Final = "1s"
"""How long a repetition waits for the first request to end."""

# No comma: servers join headers of the same name with it.
_KEY: Final = re.compile(r"[!#-+\x2d-~]{1,255}")

# The patience is set first, and holds for all that this transaction waits for.
_INSERT: Final = """
    WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', %s, true))
    INSERT INTO orders_idempotencyrecord (customer_id, key, fingerprint, order_id)
    SELECT %s, %s, %s, %s FROM patience
    ON CONFLICT (customer_id, key) DO NOTHING
"""


def key_of(request: Request) -> str:
    """Return the request's key. Raises a Problem when there is none, or none that can be kept."""
    given = request.headers.get("Idempotency-Key", "").strip()
    # The draft has it in quotes; most clients send it bare.
    key = given[1:-1] if len(given) > 1 and given[0] == given[-1] == '"' else given
    if not key:
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_MISSING,
            "Send an Idempotency-Key header with a value of its own for each purpose.",
            [FieldError("Idempotency-Key", "is missing", "header")],
        )
    if not _KEY.fullmatch(key):
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_INVALID,
            "An Idempotency-Key has 1 to 255 visible ASCII characters, and neither commas nor quotes.",
            [FieldError("Idempotency-Key", "is not a key", "header")],
        )
    return key


def fingerprint_of(request: Request, body: Any) -> bytes:
    """Return a digest of what is asked for; what a repetition must have in common."""
    asked = json.dumps([request.method, request.path, body], sort_keys=True)
    return hashlib.sha256(asked.encode()).digest()


@dataclass(frozen=True, slots=True)
class Acted(Generic[T]):
    """The request was the first with its key; ``result`` is what its effect returned."""

    result: T


@dataclass(frozen=True, slots=True)
class Replayed:
    """An equal request came before; it was about this order."""

    order_id: UUID


def once(
    request: Request, customer: User, body: Any, order_id: UUID, act: Callable[[], T]
) -> Acted[T] | Replayed:
    """Run ``act`` unless the caller has used this key before; then say what it was about.

    Of any number of equal requests at the same time one acts, and the others wait for it. Raises
    a Problem for a key that was used for something else, or whose first request is still in
    flight after a second. Whatever ``act`` raises undoes the key too.
    """
    key, fingerprint = _key_of_caller(request), fingerprint_of(request, body)
    with transaction.atomic():
        if _take(customer.pk, key, fingerprint, order_id):
            return Acted(act())
    earlier = IdempotencyRecord.objects.get(customer=customer, key=key)
    if bytes(earlier.fingerprint) != fingerprint:
        raise Problem(
            ProblemType.IDEMPOTENCY_KEY_REUSED,
            "This Idempotency-Key was used for another request.",
        )
    return Replayed(earlier.order_id)


def _key_of_caller(request: Request) -> str:
    """Return the key as it is stored: a guest's apart from those of whoever made the link."""
    key, grant = key_of(request), request.auth
    if isinstance(grant, Grant) and grant.is_guest:
        # With a space, which no client's key has.
        return f"guest {grant.order_id} {hashlib.sha256(key.encode()).hexdigest()}"
    return key


def _take(customer_id: int, key: str, fingerprint: bytes, order_id: UUID) -> bool:
    """Store the key; False when it is there already. Waits for a transaction that stores it now."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(_INSERT, [IN_FLIGHT_PATIENCE, customer_id, key, fingerprint, order_id])
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            raise Problem(
                ProblemType.IDEMPOTENCY_KEY_IN_FLIGHT,
                "The first request with this Idempotency-Key is not done yet. Repeat it shortly.",
            ) from None
        return int(cursor.rowcount) == 1
