"""How far each transport has published, and which relay publishes: the only writer of positions.

Any number of relays may run. For each transport one of them has the lease, and the others wait for
it to end. Leases run by the real time: a moved clock does not end them.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from events.models import TransportPosition

LEASE: Final = timedelta(seconds=10)
"""Longer than one call of a transport. The transports of a relay that dies wait this long."""


class LeaseLost(Exception):
    """The lease has run out, and another relay has the transport."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to publish to a transport, and how far it has published."""

    transport: str
    fence: int
    number: int
    """All events up to this one are published."""
    safe_number: int
    """These stay published although the transport's server restarts."""
    server: str
    """The run of the server to which they were published."""


def acquire(transport: str, relay: str, *, begin_after: int) -> Lease | None:
    """Take the lease of a transport, or return None while another relay has it.

    A transport without a position begins after the event with the number ``begin_after``.
    """
    position, _ = TransportPosition.objects.get_or_create(
        transport=transport, defaults={"number": begin_after, "safe_number": begin_after}
    )
    fence = position.fence + 1
    taken = TransportPosition.objects.filter(
        Q(leased_until__isnull=True) | Q(leased_until__lte=Now()),
        transport=transport,
        fence=position.fence,
    ).update(fence=fence, relay=relay, leased_until=Now() + LEASE)
    if not taken:
        return None
    return Lease(transport, fence, position.number, position.safe_number, position.server)


def advance(lease: Lease, number: int, safe_number: int, server: str) -> Lease:
    """Record that all events up to ``number`` are published, and renew the lease. Raises LeaseLost."""
    after = replace(lease, number=number, safe_number=safe_number, server=server)
    _update(
        lease,
        number=number,
        safe_number=safe_number,
        server=server,
        published_at=Now(),
        problem="",
        failing_since=None,
    )
    return after


def go_back(lease: Lease, server: str) -> Lease:
    """Begin again after the events that are safe, for a server that has restarted. Raises LeaseLost."""
    _update(lease, number=lease.safe_number, server=server)
    return replace(lease, number=lease.safe_number, server=server)


def renew(lease: Lease, problem: str = "") -> None:
    """Keep the lease while nothing is published, because of ``problem`` if there is one.

    Raises LeaseLost.
    """
    since = Coalesce("failing_since", Now()) if problem else None
    _update(lease, problem=problem[:255], failing_since=since)


def release(lease: Lease) -> None:
    """End the lease, so that another relay goes on at once. Nothing happens if it is lost."""
    _held(lease).update(leased_until=None)


def set_back(transport: str, number: int) -> bool:
    """Make the relays publish everything after the event ``number`` again, whichever has the lease.

    Returns False, with nothing changed, if the transport has not got that far.
    """
    behind = TransportPosition.objects.filter(transport=transport, number__gt=number)
    return bool(
        behind.update(number=number, safe_number=number, fence=F("fence") + 1, leased_until=None)
    )


def _update(lease: Lease, **values: Any) -> None:
    if not _held(lease).update(leased_until=Now() + LEASE, **values):
        raise LeaseLost(lease.transport)


def _held(lease: Lease) -> QuerySet[TransportPosition]:
    return TransportPosition.objects.filter(transport=lease.transport, fence=lease.fence)
