"""Bugs in the moving of stock."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, transaction

import inventory.services
from inventory.models import Reservation, ReservationStatus
from proof.seeded_bugs.patching import replace

T = TypeVar("T")


def stock_outside_the_transaction() -> None:
    """Stock is held in a commit of its own, apart from the journal row that says so."""
    reserve = inventory.services.reserve

    def reserve_apart(*arguments: Any) -> dict[UUID, str]:
        return _in_own_transaction(lambda: reserve(*arguments))

    replace(inventory.services, "reserve", reserve_apart)


def release_not_repeatable() -> None:
    """Stock is given back in a commit of its own, and given back again when that is repeated."""
    release = inventory.services.release

    def release_whatever_was_held(correlation_ids: Mapping[UUID, UUID]) -> None:
        Reservation.objects.filter(order_id__in=correlation_ids).update(
            status=ReservationStatus.HELD
        )
        release(correlation_ids)

    def release_apart(correlation_ids: Mapping[UUID, UUID]) -> None:
        _in_own_transaction(lambda: release_whatever_was_held(correlation_ids))

    replace(inventory.services, "release", release_apart)


def _in_own_transaction(act: Callable[[], T]) -> T:
    """Commit on a connection of another thread, whatever becomes of this one's transaction."""

    def work() -> T:
        try:
            with transaction.atomic():
                return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
