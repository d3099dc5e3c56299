"""Orders as a table for spreadsheets, which take a cell for a formula more often than one thinks."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from defusedcsv import csv
from django.db.models import QuerySet

from desk.order_list import customer_of, in_state_since, standing, tell_where_they_stand
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
    "why cancelled",
    "needs attention",
)

_BEGINS_A_FORMULA: Final = frozenset("=+-@|%")


class _Line:
    """What a CSV writer writes its next line into."""

    def write(self, text: str) -> str:
        return text


def as_csv(orders: QuerySet[Order]) -> Iterator[str]:
    """Return the table line by line, newest order first; at no moment more than a page is read."""
    writer = csv.writer(_Line())
    # A byte order mark: without it, Excel takes UTF-8 for something else.
    yield "\ufeff" + writer.writerow(HEADINGS)
    last: UUID | None = None
    while True:
        rest = orders if last is None else orders.filter(pk__lt=last)
        page = list(rest.order_by("-pk")[:ROWS_AT_ONCE])
        tell_where_they_stand(page)
        for each in page:
            yield writer.writerow([harmless(str(value)) for value in _row(each)])
        if len(page) < ROWS_AT_ONCE:
            return
        last = page[-1].pk


def harmless(text: str) -> str:
    """Mark a text that some spreadsheet would take for a formula as one that is not.

    defusedcsv does so where the first character begins one. Spreadsheets also pass over blanks,
    quotes and characters that cannot be seen, and take full-width signs for plain ones.
    """
    seen = unicodedata.normalize("NFKC", text)
    first = next((each for each in seen if not _is_passed_over(each)), "")
    is_plain = text.startswith(tuple(_BEGINS_A_FORMULA))
    if (first in _BEGINS_A_FORMULA and not is_plain) or text.startswith(("\t", "\r", "\n")):
        return f"'{text}"
    return text


def _is_passed_over(character: str) -> bool:
    return character in "\"'" or unicodedata.category(character)[0] in "ZC"


def _row(order: Order) -> Sequence[object]:
    run = standing(order)
    return (
        order.pk,
        order.created_at.isoformat(),
        customer_of(order),
        order.reference or "",
        order.status,
        in_state_since(order).isoformat(),
        run.step if run and run.is_live else "",
        run.attempts if run and run.is_live else "",
        run.error if run else "",
        order.total_minor,
        order.currency,
        order.reason,
        run.attention_reason if run and run.needs_attention else "",
    )
