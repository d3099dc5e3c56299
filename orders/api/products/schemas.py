"""Query parameters and response of the product list."""

from collections.abc import Sequence
from typing import Annotated, Final, Self

from pydantic import Field

from inventory.services import ProductForSale
from orders.api.http.query_params import Cursor, PageSize, QueryParams
from orders.api.http.response_schemas import Currency, MinorUnits, ResponseSchema


class ProductListQuery(QueryParams):
    page_size: Annotated[PageSize, Field(description="Products per page.")] = 100
    cursor: Annotated[Cursor | None, Field(description="Where the page begins: from `next`.")] = (
        None
    )


class Product(ResponseSchema):
    """A product for sale; ``available`` is the quantity that could be ordered now."""

    sku: str
    name: str
    price_minor: MinorUnits
    currency: Currency
    available: Annotated[int, Field(ge=0)]

    @classmethod
    def of(cls, product: ProductForSale) -> Self:
        return cls(
            sku=product.sku,
            name=product.name,
            price_minor=product.price_minor,
            currency=product.currency,
            available=product.available,
        )


class ProductPage(ResponseSchema):
    """One page of the products for sale, by SKU, and the address of the next page."""

    results: Sequence[Product]
    next: Annotated[str | None, Field(description="The next page.")]


EXAMPLE_PRODUCTS: Final = ProductPage(
    results=[
        Product(sku="MUG-BLUE", name="Mug, blue", price_minor=1290, currency="eur", available=40),
        Product(
            sku="TEE-M", name="T-shirt, medium", price_minor=2490, currency="eur", available=40
        ),
    ],
    next=None,
).as_json()
