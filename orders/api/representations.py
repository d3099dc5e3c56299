"""How orders and products look from outside."""

from collections.abc import Iterable
from typing import Any

from inventory.services import ProductForSale
from orders.models import Order, OrderLine
from orders.reasons import words


def order_as_json(order: Order, lines: Iterable[OrderLine]) -> dict[str, Any]:
    """Show an order to its customer. Amounts are in minor units."""
    return {
        "id": str(order.pk),
        "status": order.status,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "items": [
            {
                "sku": line.sku,
                "name": line.name,
                "quantity": line.quantity,
                "unit_price_minor": line.unit_price_minor,
            }
            for line in lines
        ],
        "reason": words(order),
        "reason_code": order.reason,
    }


def product_as_json(product: ProductForSale) -> dict[str, Any]:
    """Show a product; ``available`` is how many could be ordered at this moment."""
    return {
        "sku": product.sku,
        "name": product.name,
        "price_minor": product.price_minor,
        "currency": product.currency,
        "available": product.available,
    }
