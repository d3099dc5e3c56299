"""Finding orders by what people have in their hands: an id, a name, a SKU, a number of Stripe's."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet

from orders.models import Order, OrderLine
from payments.dealings import orders_with_bank_id
from sagas.history import subject_of

SEARCHED: Final = (
    "An order's id or how it begins, the shop's reference, a customer's name or its"
    " beginning, a SKU, or Stripe's pi_… or re_…"
)

_ID_OR_PREFIX: Final = re.compile(r"[0-9a-f]{8,32}")
_BANK_ID: Final = re.compile(r"(pi|re)_[A-Za-z0-9_]{1,250}")
_LONGEST: Final = 255
_MOST_CUSTOMERS: Final = 200


def search(orders: QuerySet[Order], term: str) -> QuerySet[Order]:
    """Narrow ``orders`` to those that ``term`` names; none, at once, where it names nothing.

    Every way to search has an index. A term is taken for everything that it may be: whoever is
    called like a SKU is found too.
    """
    term = term.strip()
    if not term or len(term) > _LONGEST or not term.isprintable():
        return orders.none()
    if _BANK_ID.fullmatch(term):
        return orders.filter(pk__in=orders_with_bank_id(term))
    found = [each for each in _readings(term) if each]
    if not found:
        return orders.none()
    named = Q()
    for each in found:
        named |= each
    return orders.filter(named)


def named(term: str) -> QuerySet[Order]:
    """Return the orders that ``term`` alone stands for, oldest first: one, unless it is ambiguous.

    It may be an order's id or how it begins, a run's id, the shop's reference (which is unique for
    each customer only), or Stripe's id of a PaymentIntent or a refund.
    """
    term = term.strip()
    orders = Order.objects.select_related("customer").order_by("pk")
    if not term or len(term) > _LONGEST or not term.isprintable():
        return orders.none()
    if _BANK_ID.fullmatch(term):
        return orders.filter(pk__in=orders_with_bank_id(term))
    meant = Q(reference=term) | (_by_id(term) or Q())
    with suppress(ValueError):
        if (subject := subject_of(UUID(term))) is not None:
            meant |= Q(pk=subject)
    return orders.filter(meant)


def _readings(term: str) -> Iterator[Q | None]:
    """What a term may be; each costs one look into an index."""
    yield _by_id(term)
    yield _by_customer(term)
    yield _by_reference(term)
    yield _by_sku(term)


def _by_id(term: str) -> Q | None:
    """A whole id, or the range of ids that begin so."""
    digits = term.lower().replace("-", "")
    if not _ID_OR_PREFIX.fullmatch(digits):
        return None
    return Q(pk__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))


def _by_customer(term: str) -> Q | None:
    customers = User.objects.filter(username__startswith=term).order_by("username")
    ids = list(customers.values_list("pk", flat=True)[:_MOST_CUSTOMERS])
    return Q(customer_id__in=ids) if ids else None


def _by_reference(term: str) -> Q | None:
    named = Q(reference=term)
    return named if Order.objects.filter(named).exists() else None


def _by_sku(term: str) -> Q | None:
    spelled = {term, term.upper()}
    if not OrderLine.objects.filter(sku__in=spelled).exists():
        return None
    return Q(Exists(OrderLine.objects.filter(order=OuterRef("pk"), sku__in=spelled)))
