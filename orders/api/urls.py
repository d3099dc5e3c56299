"""Where the storefront API answers, below /api/v1/."""

from django.urls import path

from orders.api import views

urlpatterns = [
    path("orders", views.Orders.as_view(), name="orders"),
    path("orders/<uuid:order_id>", views.OrderDetail.as_view(), name="order"),
    path("orders/<uuid:order_id>/timeline", views.Timeline.as_view(), name="order-timeline"),
    path("orders/<uuid:order_id>/cancel", views.Cancellation.as_view(), name="order-cancel"),
    path("products", views.Products.as_view(), name="products"),
]
