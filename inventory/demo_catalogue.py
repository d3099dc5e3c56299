"""The products of a demo shop: plenty of most, and a few that are nearly sold out."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Article:
    """One product, and the quantity that a new shop receives. The price is in minor units."""

    sku: str
    name: str
    price_minor: int
    stock: int


ARTICLES: Final = (
    Article("MUG-BLUE", "Mug, blue", 1290, 1000),
    Article("MUG-RED", "Mug, red", 1290, 1000),
    Article("TEE-S", "T-shirt, small", 2490, 1000),
    Article("TEE-M", "T-shirt, medium", 2490, 1000),
    Article("TEE-L", "T-shirt, large", 2490, 1000),
    Article("POSTER", "Poster, 50 x 70 cm", 1990, 1000),
    Article("NOTEBOOK", "Notebook, ruled", 890, 1000),
    Article("PEN", "Fountain pen", 3490, 1000),
    Article("BAG", "Canvas bag", 1490, 1000),
    Article("LAMP-LAST", "Desk lamp, last pieces", 7990, 5),
    Article("CLOCK-LAST", "Wall clock, last pieces", 4990, 3),
)
