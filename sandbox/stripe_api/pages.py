"""Pages of a list: newest first, cut by time, by cursor and by size."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from sandbox.stripe_api.account import R, Shelf
from sandbox.stripe_api.errors import invalid, no_such
from sandbox.stripe_api.form_params import Parameters

DEFAULT_LIMIT = 10
MAX_LIMIT = 100


@dataclass(frozen=True)
class Range:
    """Which part of a list was asked for."""

    limit: int
    since: int | None
    until: int | None
    starting_after: str | None
    ending_before: str | None

    @classmethod
    def read(cls, given: Parameters) -> "Range":
        limit = given.integer("limit", at_least=1, at_most=MAX_LIMIT)
        since, until = given.time_bounds("created")
        wanted = cls(
            limit=DEFAULT_LIMIT if limit is None else limit,
            since=since,
            until=until,
            starting_after=given.text("starting_after"),
            ending_before=given.text("ending_before"),
        )
        if wanted.starting_after and wanted.ending_before:
            raise invalid(
                "You may only specify one of these parameters: ending_before, starting_after.",
                param="ending_before",
                code="parameters_exclusive",
            )
        return wanted


def page(
    shelf: Shelf[R],
    ids: Sequence[str],
    wanted: Range,
    *,
    kind: str,
    where: Callable[[R], bool] = lambda _: True,
) -> tuple[list[R], bool]:
    """One page of ``ids`` (given oldest first), newest first, and whether more lie behind it.

    Found by bisection: both ``serial`` and ``created`` grow along ``ids``.
    """

    def created(object_id: str) -> int:
        return shelf[object_id].created

    def serial(object_id: str) -> int:
        return shelf[object_id].serial

    def position(cursor: str, param: str) -> int:
        record = shelf.get(cursor)
        if record is None:
            raise no_such(kind, cursor, param=param, status=400)
        return bisect_left(ids, record.serial, key=serial)

    low = 0 if wanted.since is None else bisect_left(ids, wanted.since, key=created)
    high = len(ids) if wanted.until is None else bisect_right(ids, wanted.until, key=created)
    if wanted.starting_after is not None:
        high = min(high, position(wanted.starting_after, "starting_after"))
    backwards = wanted.ending_before is not None
    if wanted.ending_before is not None:
        low = max(low, position(wanted.ending_before, "ending_before") + 1)
    order = range(low, high) if backwards else range(high - 1, low - 1, -1)
    found = (record for record in (shelf[ids[at]] for at in order) if where(record))
    taken = list(islice(found, wanted.limit + 1))
    data, has_more = taken[: wanted.limit], len(taken) > wanted.limit
    return (data[::-1] if backwards else data), has_more
