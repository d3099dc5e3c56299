"""Contents of table cells, as HTML: links, states, amounts and times."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from money.amounts import format_amount

_LONGEST_TEXT: Final = 80


def short_id(id_: UUID | str) -> str:
    """Shorten an id to its millisecond and its last 24 random bits. The search accepts it.

    The part left out counts within a millisecond, so ids of the same millisecond share it.
    """
    full = str(id_)
    return f"{full[:13]}…{full[-6:]}"


def order_link(order_id: UUID | str | None) -> SafeString | None:
    """Link to the page of an order."""
    if order_id is None:
        return None
    return format_html(
        '<a class="order-id" href="{}" title="{}">{}</a>',
        reverse("admin:orders_order_change", args=[order_id]),
        order_id,
        short_id(order_id),
    )


def product_link(product: Any) -> SafeString:
    """Link to the page of a product, by its SKU."""
    page = reverse("admin:inventory_product_change", args=[product.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', page, product.sku)


def state(value: str, hint: str = "", word: str = "") -> SafeString:
    """A state as a badge in its colour (adminkit.css), followed by a hint."""
    badge = format_html('<span class="state state-{}">{}</span>', value, word or value)
    return format_html('{} <span class="hint">{}</span>', badge, hint) if hint else badge


def amount(minor: int, currency: str) -> SafeString:
    return format_html('<span class="amount">{}</span>', format_amount(minor, currency))


def timestamp(at: datetime | None) -> SafeString | None:
    """A time of the database, in UTC; the column header names the zone."""
    if at is None:
        return None
    return format_html(
        '<time class="amount" datetime="{}">{}</time>', at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S}"
    )


def code(text: str | None) -> SafeString | None:
    return format_html("<code>{}</code>", text) if text else None


def excerpt(text: str) -> SafeString:
    """The beginning of a text. Hovering shows all of it."""
    if len(text) <= _LONGEST_TEXT:
        return format_html("{}", text)
    return format_html('<span title="{}">{}…</span>', text, text[: _LONGEST_TEXT - 1])
