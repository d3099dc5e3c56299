"""Searches orders by id, reference, customer, SKU or provider id."""

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
    """Return the help text of the search field of orders."""
    return (
        "An order's id or its beginning, the shop's reference, a customer's username or its"
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
    condition = Q(reference=term)
    return condition if Order.objects.filter(condition).exists() else None


def _by_run(term: str) -> Q | None:
    with suppress(ValueError):
        if (subject := subject_of(UUID(term))) is not None:
            return Q(pk=subject)
    return None


def _by_sku(term: str) -> Q | None:
    skus = {term, term.upper()}
    if not OrderLine.objects.filter(sku__in=skus).exists():
        return None
    return Q(Exists(OrderLine.objects.filter(order=OuterRef("pk"), sku__in=skus)))


SEARCHES: Final[tuple[Search, ...]] = (
    search_ids("pk"),
    _by_provider_id,
    _by_customer,
    _by_reference,
    _by_sku,
)
"""A term is tried as each of these: it may be a SKU and a username at once."""


def orders_named(term: str) -> QuerySet[Order]:
    """Return the orders that ``term`` identifies, oldest first. Several if the term is ambiguous.

    The term is an order's id or its beginning, a run's id, the shop's reference, or a payment
    provider's id of a payment or a refund. A reference is unique for each customer only.
    """
    orders = Order.objects.select_related("customer").order_by("pk")
    return search_rows(orders, term, (search_ids("pk"), _by_run, _by_provider_id, _by_reference))
