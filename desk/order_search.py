"""Searching orders by id, reference, customer, SKU or provider id."""

from contextlib import suppress
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet

from adminkit.search import Search, search_ids, search_rows
from orders.models import Order, OrderLine
from payments.admin_queries import orders_with_provider_id, provider_ids_hint
from sagas.queries.subjects import subject_of


def search_hint() -> str:
    """Return what the search field of the orders takes."""
    return (
        "An order's id or how it begins, the shop's reference, a customer's name or its"
        f" beginning, a SKU, or {provider_ids_hint()}"
    )


_MAX_CUSTOMERS: Final = 200


def _by_provider_id(term: str) -> Q | None:
    found = orders_with_provider_id(term)
    return Q(pk__in=found) if found else None


def _by_customer(term: str) -> Q | None:
    customers = User.objects.filter(username__startswith=term).order_by("username")
    ids = list(customers.values_list("pk", flat=True)[:_MAX_CUSTOMERS])
    return Q(customer_id__in=ids) if ids else None


def _by_reference(term: str) -> Q | None:
    named = Q(reference=term)
    return named if Order.objects.filter(named).exists() else None


def _by_run(term: str) -> Q | None:
    with suppress(ValueError):
        if (subject := subject_of(UUID(term))) is not None:
            return Q(pk=subject)
    return None


def _by_sku(term: str) -> Q | None:
    spelled = {term, term.upper()}
    if not OrderLine.objects.filter(sku__in=spelled).exists():
        return None
    return Q(Exists(OrderLine.objects.filter(order=OuterRef("pk"), sku__in=spelled)))


SEARCHES: Final[tuple[Search, ...]] = (
    search_ids("pk"),
    _by_provider_id,
    _by_customer,
    _by_reference,
    _by_sku,
)
"""All of these apply: a customer whose name equals a SKU is found too."""


def named(term: str) -> QuerySet[Order]:
    """Return the orders that ``term`` identifies, oldest first: one, unless it is ambiguous.

    It may be an order's id or how it begins, a run's id, the shop's reference (which is unique for
    each customer only), or a payment provider's id of a payment or a refund.
    """
    orders = Order.objects.select_related("customer").order_by("pk")
    return search_rows(orders, term, (search_ids("pk"), _by_run, _by_provider_id, _by_reference))
