"""What a newcomer's shop sells: enough of most things, and a few with nearly empty shelves."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Article:
    """One product, and how much of it comes in. The price is in minor units."""

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
