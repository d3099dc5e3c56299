"""Placing, listing, reading and cancelling orders. Following one live is in ``event_stream``."""

from functools import partial
from http import HTTPStatus
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.accounts import AccountBlocked, get_or_create_customer
from access.credentials import Scope
from access.errors import ScopeMissing
from access.permissions import Scopes
from access.rates import Rate
from access.throttling import Rates
from orders.api.carts import CART_ERRORS, cart_problem
from orders.api.http.auth_context import (
    account_of,
    actor_name,
    grant_of,
    order_path,
    own_order,
    own_orders,
)
from orders.api.http.documentation.operation import documented
from orders.api.http.etags import conditional_response
from orders.api.http.idempotency import Executed, IdempotentRequest, run_idempotent
from orders.api.http.pagination import link_header, page_url
from orders.api.http.prefer_header import seconds_to_wait
from orders.api.http.problem_types import ProblemType
from orders.api.http.problems import FieldError, Problem
from orders.api.http.query_params import QueryParams, parse_query
from orders.api.http.request_schemas import EmptyBody, invalid_request, parse_body
from orders.api.orders.documentation import (
    CANCEL_ORDER,
    LIST_ORDERS,
    PLACE_ORDER,
    READ_ORDER,
    READ_TIMELINE,
)
from orders.api.orders.expansions import expanded_orders
from orders.api.orders.order_list import OrderCursors, filtered, page_of
from orders.api.orders.request_schemas import NewOrder, OrderListQuery, OrderQuery
from orders.api.orders.response_schemas import OrderPage, Timeline, TimelineEntry
from orders.api.orders.responses import AS_PLACED, order_response
from orders.customer_timeline import customer_timelines
from orders.errors import (
    IllegalTransition,
    PriceChanged,
    ReferenceTaken,
    TooManyOpenOrders,
)
from orders.services import (
    PlacedOrder,
    PriceExpectation,
    cancel_order,
    enforce_open_order_limit,
    place_order,
)
from orders.states import SETTLED, TRANSITIONS, OrderStatus
from payments.history import payments_of
from sagas.identifiers import new_id


class OrdersView(APIView):
    scopes: Scopes = {"GET": Scope.READ, "POST": Scope.WRITE}
    rates: Rates = {"POST": Rate.ORDERS}

    @documented(LIST_ORDERS)
    def get(self, request: Request) -> HttpResponseBase:
        """List the caller's orders, newest first."""
        query = parse_query(OrderListQuery, request)
        if query.customer is not None and not grant_of(request).is_shop:
            raise ScopeMissing(Scope.SHOP)
        cursors = OrderCursors(request, query)
        start = cursors.read(query.cursor) if query.cursor is not None else None
        page = page_of(filtered(own_orders(request), query), start, query.page_size)
        next_page, previous_page = (
            page_url(request, cursors.write(position)) if position else None
            for position in (page.next, page.previous)
        )
        content = OrderPage(
            results=expanded_orders(request, page.orders, query.expand),
            next=next_page,
            previous=previous_page,
        )
        links = link_header({"next": next_page, "prev": previous_page})
        return conditional_response(request, content, links)

    @documented(PLACE_ORDER)
    def post(self, request: Request) -> Response:
        """Place an order: 202 when it is accepted, 201 when it settled within ``Prefer: wait``.

        A repetition with the same Idempotency-Key returns the same order.
        """
        body = parse_body(NewOrder, request)
        idempotent_request, order_id = IdempotentRequest.of(request, body), new_id()
        known_response = None if seconds_to_wait(request) else AS_PLACED
        place = partial(_place, request, order_id, body)
        try:
            outcome = run_idempotent(idempotent_request, order_id, place, known_response)
        except TooManyOpenOrders as error:
            raise Problem(ProblemType.TOO_MANY_OPEN_ORDERS, str(error)) from None
        except AccountBlocked as error:
            raise invalid_request(str(error), [FieldError("/customer", "is blocked")]) from None
        except CART_ERRORS as error:
            raise cart_problem(body, error) from None
        except PriceChanged as error:
            raise _price_changed(body, error) from None
        except ReferenceTaken as error:
            raise _reference_taken(request, error) from None
        if isinstance(outcome, Executed):
            order, lines = outcome.result.order, outcome.result.lines
        else:
            order = own_order(request, outcome.order_id)
            lines = list(order.lines.all())
        return order_response(
            request,
            idempotent_request,
            outcome,
            order,
            lines,
            settled=SETTLED,
            immediate=AS_PLACED,
        )


class OrderView(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    @documented(READ_ORDER)
    def get(self, request: Request, order_id: UUID) -> HttpResponseBase:
        """Return one of the caller's orders, always with its items."""
        query = parse_query(OrderQuery, request)
        order = own_order(request, order_id)
        [content] = expanded_orders(request, [order], query.expand | {"items"})
        return conditional_response(request, content)


class TimelineView(APIView):
    scopes: Scopes = {"GET": Scope.READ}

    @documented(READ_TIMELINE)
    def get(self, request: Request, order_id: UUID) -> HttpResponseBase:
        """Return the events of one of the caller's orders, oldest first."""
        parse_query(QueryParams, request)
        order = own_order(request, order_id)
        events = customer_timelines([order], payments_of([order.pk]))[order.pk]
        content = Timeline(entries=[TimelineEntry.of(event) for event in events])
        return conditional_response(request, content)


class CancellationView(APIView):
    scopes: Scopes = {"POST": Scope.WRITE}

    @documented(CANCEL_ORDER)
    def post(self, request: Request, order_id: UUID) -> Response:
        """Cancel an order in any status: refund or void its payment, and release its stock."""
        idempotent_request = IdempotentRequest.of(request, parse_body(EmptyBody, request))
        order = own_order(request, order_id)
        cancel = partial(
            cancel_order,
            order.pk,
            reason="cancelled_by_customer",
            actor=actor_name(request),
        )
        try:
            outcome = run_idempotent(idempotent_request, order.pk, cancel)
        except IllegalTransition as error:
            raise _not_cancellable_now(error) from None
        order = own_order(request, order_id)
        return order_response(
            request,
            idempotent_request,
            outcome,
            order,
            order.lines.all(),
            settled=(OrderStatus.CANCELLED,),
            settled_status=HTTPStatus.OK,
        )


def _place(request: Request, order_id: UUID, body: NewOrder) -> PlacedOrder:
    customer = _customer(request, body.customer)
    if customer is not None and not grant_of(request).is_shop:
        enforce_open_order_limit(customer)
    return place_order(
        order_id,
        customer,
        body.quantities(),
        body.payment_method,
        reference=body.reference,
        expected=PriceExpectation(body.expected_total_minor, body.expected_currency),
    )


def _customer(request: Request, name: str | None) -> User | None:
    """Return the customer of a new order: the caller, or the one that the shop's server names.

    None is a guest. A new name gets an account, in the transaction of the order. Raises
    ScopeMissing if the caller is a customer but sends a customer's name, and AccountBlocked.
    """
    if not grant_of(request).is_shop:
        if name is not None:
            raise ScopeMissing(Scope.SHOP)
        return account_of(request)
    return get_or_create_customer(name) if name else None


def _price_changed(body: NewOrder, error: PriceChanged) -> Problem:
    return Problem(
        ProblemType.PRICE_CHANGED,
        "The price of the cart has changed. Nothing was ordered.",
        extensions={
            "expected": body.model_dump(
                include={"expected_total_minor", "expected_currency"}, exclude_none=True
            ),
            "total_minor": error.total_minor,
            "currency": error.currency,
            "items": [
                {"sku": sku, "quantity": quantity, "unit_price_minor": error.prices[sku]}
                for sku, quantity in body.quantities().items()
            ],
        },
    )


def _reference_taken(request: Request, error: ReferenceTaken) -> Problem:
    """Return a problem with the path of the order that has this reference."""
    order = own_orders(request).get(customer=error.customer_id, reference=error.reference)
    return Problem(
        ProblemType.REFERENCE_ALREADY_USED,
        "Another order has this reference. Nothing was ordered.",
        [FieldError("/reference", "is used")],
        headers={"Location": order_path(request, order.pk)},
        extensions={"order_id": str(order.pk)},
    )


def _not_cancellable_now(error: IllegalTransition) -> Problem:
    allowed = TRANSITIONS[error.source] - {error.target}
    return Problem(
        ProblemType.TRANSITION_NOT_ALLOWED,
        f"The order is {error.source}, and its current step must finish first.",
        headers={"Retry-After": "1"},
        extensions={
            "order_status": error.source,
            "allowed_transitions": [status for status in OrderStatus if status in allowed],
        },
    )
