"""``manage.py load_catalogue``: fills a shop with the demo catalogue."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from inventory.demo_catalogue import ARTICLES, Article
from inventory.models import Product, StockLevel, Warehouse
from inventory.prices import check_price
from inventory.services import receive


class Command(BaseCommand):
    help = (
        "Load the demo catalogue, to try out a shop. Existing products keep their names, prices and"
        " stock (see --refill). Orders are not changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--refill",
            action="store_true",
            help="receive more of each product that has fallen to half of its demo stock",
        )

    @transaction.atomic
    def handle(self, *_: Any, refill: bool, **__: Any) -> None:
        for article in ARTICLES:
            _check(article)
        warehouse, _created = Warehouse.objects.get_or_create(
            code="main", defaults={"name": "Main warehouse"}
        )
        for article in ARTICLES:
            self._load(article, warehouse, refill=refill)

    def _load(self, article: Article, warehouse: Warehouse, *, refill: bool) -> None:
        product, is_new = Product.objects.get_or_create(
            sku=article.sku, defaults={"name": article.name, "price_minor": article.price_minor}
        )
        if is_new:
            level = StockLevel.objects.create(product=product, warehouse=warehouse)
            receive(level, article.stock, "demo catalogue")
        came_in = _refill(article, product) if refill else 0
        self.stdout.write(json.dumps({"sku": article.sku, "new": is_new, "came_in": came_in}))


def _check(article: Article) -> None:
    """Raise CommandError for a price that the shop's payment providers cannot charge."""
    try:
        check_price(article.price_minor)
    except ValidationError as error:
        raise CommandError(f"{article.sku}: {' '.join(error.messages)}") from None


def _refill(article: Article, product: Product) -> int:
    """Receive what is missing from the demo stock, if half of it or more is gone; return how much."""
    level = StockLevel.objects.filter(product=product).order_by("pk").first()
    if level is None or level.available * 2 > article.stock:
        return 0
    missing = article.stock - level.available
    receive(level, missing, "demo catalogue: refilled")
    return missing
