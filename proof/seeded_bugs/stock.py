"""Bugs in stock reservations."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, transaction

import inventory.services
from inventory.models import Reservation, ReservationStatus
from proof.seeded_bugs.patching import replace

T = TypeVar("T")


def stock_outside_transaction() -> None:
    """Stock is reserved in a transaction of its own, apart from the step's journal row."""
    reserve = inventory.services.reserve

    def reserve_apart(*arguments: Any) -> dict[UUID, str]:
        return _in_own_transaction(lambda: reserve(*arguments))

    replace(inventory.services, "reserve", reserve_apart)


def release_not_repeatable() -> None:
    """Stock is released in a transaction of its own, and released again when the step is repeated."""
    release = inventory.services.release

    def release_again(correlation_ids: Mapping[UUID, UUID]) -> None:
        Reservation.objects.filter(order_id__in=correlation_ids).update(
            status=ReservationStatus.HELD
        )
        release(correlation_ids)

    def release_apart(correlation_ids: Mapping[UUID, UUID]) -> None:
        _in_own_transaction(lambda: release_again(correlation_ids))

    replace(inventory.services, "release", release_apart)


def _in_own_transaction(act: Callable[[], T]) -> T:
    """Commit on another thread's connection, independent of this thread's transaction."""

    def work() -> T:
        try:
            with transaction.atomic():
                return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
