"""Pages of a list: newest first, limited by time, cursor and size."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from sandbox.stripe_api.account import R, RecordTable
from sandbox.stripe_api.errors import invalid, no_such
from sandbox.stripe_api.form_params import Parameters

DEFAULT_LIMIT = 10
MAX_LIMIT = 100


@dataclass(frozen=True)
class PageRequest:
    """The requested part of a list."""

    limit: int
    since: int | None
    until: int | None
    starting_after: str | None
    ending_before: str | None

    @classmethod
    def read(cls, params: Parameters) -> "PageRequest":
        limit = params.integer("limit", at_least=1, at_most=MAX_LIMIT)
        since, until = params.time_bounds("created")
        page_request = cls(
            limit=DEFAULT_LIMIT if limit is None else limit,
            since=since,
            until=until,
            starting_after=params.text("starting_after"),
            ending_before=params.text("ending_before"),
        )
        if page_request.starting_after and page_request.ending_before:
            raise invalid(
                "You may only specify one of these parameters: ending_before, starting_after.",
                param="ending_before",
                code="parameters_exclusive",
            )
        return page_request


def page(
    table: RecordTable[R],
    ids: Sequence[str],
    page_request: PageRequest,
    *,
    kind: str,
    where: Callable[[R], bool] = lambda _: True,
) -> tuple[list[R], bool]:
    """Return one page, newest first, and whether there are more. ``ids`` are oldest first.

    It searches by bisection, because ``serial`` and ``created`` increase along ``ids``.
    """

    def created(object_id: str) -> int:
        return table[object_id].created

    def serial(object_id: str) -> int:
        return table[object_id].serial

    def position(cursor: str, param: str) -> int:
        record = table.get(cursor)
        if record is None:
            raise no_such(kind, cursor, param=param, status=400)
        return bisect_left(ids, record.serial, key=serial)

    low = 0 if page_request.since is None else bisect_left(ids, page_request.since, key=created)
    high = len(ids)
    if page_request.until is not None:
        high = bisect_right(ids, page_request.until, key=created)
    if page_request.starting_after is not None:
        high = min(high, position(page_request.starting_after, "starting_after"))
    backwards = page_request.ending_before is not None
    if page_request.ending_before is not None:
        low = max(low, position(page_request.ending_before, "ending_before") + 1)
    order = range(low, high) if backwards else range(high - 1, low - 1, -1)
    found = (record for record in (table[ids[at]] for at in order) if where(record))
    taken = list(islice(found, page_request.limit + 1))
    data, has_more = taken[: page_request.limit], len(taken) > page_request.limit
    return (data[::-1] if backwards else data), has_more
