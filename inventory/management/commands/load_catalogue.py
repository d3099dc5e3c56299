"""Fill an empty shop with the demo catalogue."""

import json
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from inventory.demo_catalogue import ARTICLES, Article
from inventory.models import Product, StockLevel, Warehouse
from inventory.services import receive


class Command(BaseCommand):
    help = "Load the demo catalogue. Products that are there keep their prices and their stock."

    @transaction.atomic
    def handle(self, *_: Any, **__: Any) -> None:
        warehouse, _created = Warehouse.objects.get_or_create(
            code="main", defaults={"name": "Main warehouse"}
        )
        for article in ARTICLES:
            self._load(article, warehouse)

    def _load(self, article: Article, warehouse: Warehouse) -> None:
        product, is_new = Product.objects.get_or_create(
            sku=article.sku, defaults={"name": article.name, "price_minor": article.price_minor}
        )
        if is_new:
            level = StockLevel.objects.create(product=product, warehouse=warehouse)
            receive(level, article.stock, "demo catalogue")
        self.stdout.write(json.dumps({"sku": article.sku, "new": is_new}))
