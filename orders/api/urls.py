"""Paths of the storefront API, below /api/v1/."""

from django.urls import path

from orders.api.approvals.views import ApprovalsView, ApprovalView, ApproveView, RejectView
from orders.api.links.views import LinksView, guest_view_of
from orders.api.orders.event_stream import EventsView
from orders.api.orders.views import CancellationView, OrdersView, OrderView, TimelineView
from orders.api.payments.views import PaymentCheckView, PaymentsView
from orders.api.products.views import ProductsView
from orders.api.quotes.views import QuotesView
from orders.api.signals.views import SignalView
from orders.api.token import TokenView

urlpatterns = [
    path("products", ProductsView.as_view(), name="products"),
    path("quotes", QuotesView.as_view(), name="quotes"),
    path("orders", OrdersView.as_view(), name="orders"),
    path("orders/<uuid:order_id>", OrderView.as_view(), name="order"),
    path("orders/<uuid:order_id>/timeline", TimelineView.as_view(), name="order-timeline"),
    path("orders/<uuid:order_id>/events", EventsView.as_view(), name="order-events"),
    path("orders/<uuid:order_id>/cancel", CancellationView.as_view(), name="order-cancel"),
    path("orders/<uuid:order_id>/payments", PaymentsView.as_view(), name="order-payments"),
    path(
        "orders/<uuid:order_id>/payments/check",
        PaymentCheckView.as_view(),
        name="order-payment-check",
    ),
    path("orders/<uuid:order_id>/signals/<slug:name>", SignalView.as_view(), name="order-signal"),
    path("orders/<uuid:order_id>/links", LinksView.as_view(), name="order-links"),
    path("guest/orders/<str:token>", guest_view_of(OrderView.as_view()), name="guest-order"),
    path(
        "guest/orders/<str:token>/timeline",
        guest_view_of(TimelineView.as_view()),
        name="guest-order-timeline",
    ),
    path(
        "guest/orders/<str:token>/events",
        guest_view_of(EventsView.as_view()),
        name="guest-order-events",
    ),
    path(
        "guest/orders/<str:token>/cancel",
        guest_view_of(CancellationView.as_view()),
        name="guest-order-cancel",
    ),
    path(
        "guest/orders/<str:token>/payments",
        guest_view_of(PaymentsView.as_view()),
        name="guest-order-payments",
    ),
    path(
        "guest/orders/<str:token>/payments/check",
        guest_view_of(PaymentCheckView.as_view()),
        name="guest-order-payment-check",
    ),
    path("approvals", ApprovalsView.as_view(), name="approvals"),
    path("approvals/<uuid:approval_id>", ApprovalView.as_view(), name="approval"),
    path("approvals/<uuid:approval_id>/approve", ApproveView.as_view(), name="approval-approve"),
    path("approvals/<uuid:approval_id>/reject", RejectView.as_view(), name="approval-reject"),
    path("token", TokenView.as_view(), name="token"),
]
