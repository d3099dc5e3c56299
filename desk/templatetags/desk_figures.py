"""Template filters for durations, shares, ids and names of systems."""

from datetime import datetime, timedelta
from typing import Final

from django import template

from adminkit.cells import short_id
from desk.step_names import system_name

register = template.Library()
register.filter(system_name)
register.filter(short_id)

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))


@register.filter
def span(time: timedelta | None) -> str:
    """Return a duration in its largest unit; below a second with one decimal."""
    if time is None:
        return "not known"
    seconds = time.total_seconds()
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 1 else f"{seconds:.0f} s"


@register.filter
def age(since: datetime, now: datetime) -> str:
    return span(max(now - since, timedelta()))


@register.filter
def percent(share: float) -> str:
    """Return a share as a percentage, rounded down: 100 % means all."""
    return f"{int(share * 1000) / 10:g} %"
