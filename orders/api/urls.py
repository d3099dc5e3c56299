"""Where the storefront API answers, below /api/v1/."""

from django.urls import path

from access.permissions import Scopes
from orders.api.links.views import Links, by_link
from orders.api.orders.cancelling import Cancellation
from orders.api.orders.event_stream import Progress
from orders.api.orders.listing import Listing
from orders.api.orders.reading import OrderDetail, Timeline
from orders.api.orders.views import Ordering
from orders.api.products.views import Products
from orders.api.quotes.views import Quotes
from orders.api.token import Token


class Orders(Listing, Ordering):
    """What may be done with all of them: list, and add to them."""

    scopes: Scopes = {**Listing.scopes, **Ordering.scopes}


urlpatterns = [
    path("orders", Orders.as_view(), name="orders"),
    path("orders/<uuid:order_id>", OrderDetail.as_view(), name="order"),
    path("orders/<uuid:order_id>/timeline", Timeline.as_view(), name="order-timeline"),
    path("orders/<uuid:order_id>/events", Progress.as_view(), name="order-events"),
    path("orders/<uuid:order_id>/cancel", Cancellation.as_view(), name="order-cancel"),
    path("orders/<uuid:order_id>/links", Links.as_view(), name="order-links"),
    path("guest/orders/<str:token>", by_link(OrderDetail.as_view()), name="guest-order"),
    path(
        "guest/orders/<str:token>/timeline",
        by_link(Timeline.as_view()),
        name="guest-order-timeline",
    ),
    path("guest/orders/<str:token>/events", by_link(Progress.as_view()), name="guest-order-events"),
    path(
        "guest/orders/<str:token>/cancel",
        by_link(Cancellation.as_view()),
        name="guest-order-cancel",
    ),
    path("quotes", Quotes.as_view(), name="quotes"),
    path("token", Token.as_view(), name="token"),
    path("products", Products.as_view(), name="products"),
]
