"""From readings and orders to figures: rates, percentiles, costs of one order, at full speed too."""

import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.cpu import LOAD
from benchmarks.load import Placement
from benchmarks.meter import ProgramRestarted, Reading
from benchmarks.outcomes import Fate, confirmed_between

PERCENTILES: Final = (50, 95, 99)
NOT_THE_SYSTEM: Final = frozenset({LOAD, "sandbox"})

CONFIRMED_RATE: Final = "orders confirmed per second"
COMPLETED_RATE: Final = "orders completed per second"
CPU: Final = "CPU ms per order"
RATES: Final = frozenset({CONFIRMED_RATE, COMPLETED_RATE})

Figures = dict[str, float]


class NothingConfirmed(Exception):
    """No order was confirmed within a window, so nothing can be said of the cost of one."""


class Window(NamedTuple):
    """What was measured from one moment to another."""

    before: Reading
    after: Reading
    slow: float  # times slower than the reference machine at full speed

    @property
    def seconds(self) -> float:
        return self.after.at - self.before.at

    def holds(self, moment: float | None) -> bool:
        return moment is not None and self.before.at <= moment < self.after.at


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that ``percent`` of all are not above (nearest rank)."""
    if not values:
        return math.nan
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def figures(window: Window, placements: Iterable[Placement], fates: Mapping[str, Fate]) -> Figures:
    """Work out what a window shows. Raises NothingConfirmed and ProgramRestarted."""
    if window.before.pids != window.after.pids:
        raise ProgramRestarted(f"{window.before.pids} became {window.after.pids}")
    confirmed = confirmed_between(window.before.at, window.after.at, fates)
    completed = sum(window.holds(fate.completed_at) for fate in fates.values())
    if not confirmed:
        raise NothingConfirmed
    sent = [each for each in placements if window.holds(each.due)]
    return {
        CONFIRMED_RATE: confirmed / window.seconds,
        COMPLETED_RATE: completed / window.seconds,
        "orders confirmed in the window": confirmed,
        "orders sent in the window": len(sent),
        "orders that failed": sum(not _was_confirmed(each, fates) for each in sent),
        **_latencies(sent, fates),
        **_costs(window, confirmed),
        "cores busy with something else": _elsewhere(window),
        "cores busy": _busy(window),
        "slow": window.slow,
    }


def normalised(figures: Figures) -> Figures:
    """Return what scales with the machine's speed as it would be at full speed."""
    slow = figures["slow"]
    rates = {name: value * slow for name, value in figures.items() if name in RATES}
    costs = {name: value / slow for name, value in figures.items() if name.startswith(CPU)}
    return rates | costs


def medians(windows: Sequence[Figures]) -> Figures:
    """Return each figure's median over the windows."""
    return {name: statistics.median(each[name] for each in windows) for name in windows[0]}


def ratios(new: Figures, old: Figures) -> Figures:
    """Return new / old for each figure that both have and the old one is not nothing."""
    return {name: value / old[name] for name, value in new.items() if old.get(name)}


def _was_confirmed(placement: Placement, fates: Mapping[str, Fate]) -> bool:
    fate = fates.get(placement.order_id)
    return fate is not None and fate.confirmed_at is not None


def _latencies(sent: Sequence[Placement], fates: Mapping[str, Fate]) -> Figures:
    to_202 = [each.answered - each.due for each in sent if each.order_id]
    to_confirmed = [
        fate.confirmed_at - each.due
        for each in sent
        if (fate := fates.get(each.order_id)) and fate.confirmed_at is not None
    ]
    return {
        f"POST to {what} p{percent} ms": percentile(seconds, percent) * 1000
        for what, seconds in (("202", to_202), ("confirmed", to_confirmed))
        for percent in PERCENTILES
    }


def _costs(window: Window, confirmed: int) -> Figures:
    before, after = window.before, window.after
    spent = {
        group: (ms - before.cpu_ms.get(group, 0)) / confirmed for group, ms in after.cpu_ms.items()
    }
    workers = sum(ms for group, ms in spent.items() if group.startswith("worker-"))
    system = sum(ms for group, ms in spent.items() if group not in NOT_THE_SYSTEM)
    return {
        "commits per order": (after.commits - before.commits) / confirmed,
        "Celery messages per order": (after.messages - before.messages) / confirmed,
        "Stripe calls per order": (after.stripe_calls - before.stripe_calls) / confirmed,
        "WAL bytes per order": (after.wal_bytes - before.wal_bytes) / confirmed,
        f"{CPU}, the system": system,
        f"{CPU}, all workers": workers,
        **{f"{CPU}, {group}": ms for group, ms in sorted(spent.items())},
    }


def _busy(window: Window) -> float:
    busy = window.after.machine_busy_ms - window.before.machine_busy_ms
    return min(busy / 1000 / window.seconds, os.cpu_count() or 1)


def _elsewhere(window: Window) -> float:
    ours = sum(window.after.cpu_ms.values()) - sum(window.before.cpu_ms.values())
    return max(_busy(window) - ours / 1000 / window.seconds, 0.0)
