"""Stock for tests that place orders."""

from inventory.models import Product, StockLevel, Warehouse
from inventory.services import receive


class Shelf:
    """One warehouse: ``put(sku, quantity)`` stocks a new product, ``level(sku)`` reads it."""

    def __init__(self) -> None:
        self._warehouse = Warehouse.objects.create(code="main", name="Main")

    def put(self, sku: str, quantity: int, price_minor: int = 1000) -> StockLevel:
        product = Product.objects.create(sku=sku, name=sku.title(), price_minor=price_minor)
        level = StockLevel.objects.create(product=product, warehouse=self._warehouse)
        receive(level, quantity, "for a test")
        return level

    def level(self, sku: str) -> tuple[int, int]:
        """Return the quantity on hand, and how much of it is reserved."""
        found = StockLevel.objects.get(product__sku=sku)
        return found.on_hand, found.reserved
