"""Orders as CSV. Cells that a spreadsheet would run as a formula are escaped."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from defusedcsv import csv
from django.db.models import QuerySet

from desk.order_list import attach_newest_runs, customer_of, in_state_since, newest_run_of
from orders.models import Order

ROWS_AT_ONCE: Final = 500

HEADINGS: Final = (
    "order",
    "placed at",
    "customer",
    "reference",
    "state",
    "in this state since",
    "step",
    "attempts",
    "last error",
    "total (minor units)",
    "currency",
    "cancel reason",
    "needs attention",
)

_FORMULA_SIGNS: Final = frozenset("=+-@|%")


class _LineWriter:
    """A file for a CSV writer that returns each line instead of storing it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(orders: QuerySet[Order]) -> Iterator[str]:
    """Yield the lines of the CSV, newest order first. Keeps ROWS_AT_ONCE orders in memory."""
    writer = csv.writer(_LineWriter())
    # Without a byte order mark, Excel does not read UTF-8.
    yield "\ufeff" + writer.writerow(HEADINGS)
    last: UUID | None = None
    while True:
        rest = orders if last is None else orders.filter(pk__lt=last)
        page = list(rest.order_by("-pk")[:ROWS_AT_ONCE])
        attach_newest_runs(page)
        for order in page:
            yield writer.writerow([escape_formula(str(value)) for value in _row(order)])
        if len(page) < ROWS_AT_ONCE:
            return
        last = page[-1].pk


def escape_formula(text: str) -> str:
    """Prefix a text with an apostrophe if a spreadsheet would run it as a formula.

    defusedcsv looks at the first character only. Spreadsheets also skip blanks, quotes and
    invisible characters, and treat full-width signs like plain ones.
    """
    normalized = unicodedata.normalize("NFKC", text)
    first = next((sign for sign in normalized if not _is_skipped(sign)), "")
    is_plain = text.startswith(tuple(_FORMULA_SIGNS))
    if (first in _FORMULA_SIGNS and not is_plain) or text.startswith(("\t", "\r", "\n")):
        return f"'{text}"
    return text


def _is_skipped(character: str) -> bool:
    return character in "\"'" or unicodedata.category(character)[0] in "ZC"


def _row(order: Order) -> Sequence[object]:
    run = newest_run_of(order)
    return (
        order.pk,
        order.created_at.isoformat(),
        customer_of(order),
        order.reference or "",
        order.status,
        in_state_since(order).isoformat(),
        run.step if run and run.is_live else "",
        run.attempt_count if run and run.is_live else "",
        run.last_error if run else "",
        order.total_minor,
        order.currency,
        order.reason,
        run.attention_reason if run and run.needs_attention else "",
    )
