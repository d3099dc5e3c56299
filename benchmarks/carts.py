"""The carts that the load orders: two-line carts, or real baskets from a file, one per line."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Final, NamedTuple

MAX_LINES: Final = 100  # that the API accepts in one order
PRODUCTS: Final = 100
SKU: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Cart = dict[str, int]  # quantity by SKU


class Assortment(NamedTuple):
    """Carts to order in turn, and remarks on what was left out or divided."""

    carts: list[Cart]
    remarks: list[str]

    @property
    def skus(self) -> list[str]:
        return sorted({sku for cart in self.carts for sku in cart})

    def bodies(self) -> Iterator[bytes]:
        """Yield request bodies without end: after the last cart the first one comes again."""
        return cycle([_body(cart) for cart in self.carts])


def two_line_carts(carts: int = 2_000, seed: int = 1) -> Assortment:
    """Return random carts of two different products; the same seed gives the same carts."""
    dice = random.Random(seed)  # noqa: S311 - chance that can be repeated
    skus = [f"BENCH-{number:03}" for number in range(PRODUCTS)]
    return Assortment([dict.fromkeys(dice.sample(skus, 2), 1) for _ in range(carts)], [])


def baskets(lines: Iterable[str]) -> Assortment:
    """Return one cart for each line of stock codes; a code that stands twice has quantity 2.

    A basket with more lines than the API accepts becomes several carts. A code that is no valid SKU
    is left out.
    """
    carts: list[Cart] = []
    codes_left_out = empty = divided = 0
    for line in lines:
        codes = [code.strip() for code in line.split(",") if code.strip()]
        sold = Counter(code for code in codes if SKU.fullmatch(code))
        codes_left_out += len(codes) - sold.total()
        rows = list(sold.items())
        empty += not rows
        divided += len(rows) > MAX_LINES
        carts += [dict(rows[at : at + MAX_LINES]) for at in range(0, len(rows), MAX_LINES)]
    counts = {
        "lines whose code is no SKU were left out": codes_left_out,
        "baskets without any line were left out": empty,
        f"baskets of more than {MAX_LINES} lines were divided": divided,
    }
    return Assortment(carts, [f"{number} {what}" for what, number in counts.items() if number])


def _body(cart: Cart) -> bytes:
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in cart.items()]
    return json.dumps({"items": items, "payment_method": "pm_card_visa"}).encode()
