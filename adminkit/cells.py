"""What stands in the cells of lists: links, states, amounts and times, the same in all of them."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from adminkit.money import money

_LONGEST_TEXT: Final = 80


def short_id(found: UUID | str) -> str:
    """What tells an id from others, and the search takes: its millisecond, and 24 bits by chance.

    What lies between counts within the millisecond: ids made in the same one have it in common.
    """
    whole = str(found)
    return f"{whole[:13]}…{whole[-6:]}"


def order_link(order_id: UUID | str | None) -> SafeString | None:
    """Lead to the one page that has an order's whole story."""
    if order_id is None:
        return None
    return format_html(
        '<a class="order-id" href="{}" title="{}">{}</a>',
        reverse("admin:orders_order_change", args=[order_id]),
        order_id,
        short_id(order_id),
    )


def product_link(product: Any) -> SafeString:
    """Lead to a product, by its SKU."""
    page = reverse("admin:inventory_product_change", args=[product.pk])
    return format_html('<a class="desk-link" href="{}">{}</a>', page, product.sku)


def state(value: str, hint: str = "", word: str = "") -> SafeString:
    """Write a state in its colour, which desk.css has for each; and after it a hint."""
    badge = format_html('<span class="state state-{}">{}</span>', value, word or value)
    return format_html('{} <span class="hint">{}</span>', badge, hint) if hint else badge


def amount(minor: int, currency: str) -> SafeString:
    return format_html('<span class="amount">{}</span>', money(minor, currency))


def moment(at: datetime | None) -> SafeString | None:
    """Write a time of the database's; the column says that it is UTC."""
    if at is None:
        return None
    return format_html(
        '<time class="amount" datetime="{}">{}</time>', at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S}"
    )


def code(text: str | None) -> SafeString | None:
    return format_html("<code>{}</code>", text) if text else None


def excerpt(text: str) -> SafeString:
    """Write the beginning of a text, all of which is shown where somebody points at it."""
    if len(text) <= _LONGEST_TEXT:
        return format_html("{}", text)
    return format_html('<span title="{}">{}…</span>', text, text[: _LONGEST_TEXT - 1])
