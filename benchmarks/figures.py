"""Computes the figures of a window: rates, percentiles, costs per order, and normalised values."""

import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.cpu import LOAD_GENERATOR
from benchmarks.load import Placement
from benchmarks.meter import ProgramRestarted, Reading
from benchmarks.outcomes import OrderOutcome, confirmed_between

PERCENTILES: Final = (50, 95, 99)
NOT_THE_SYSTEM: Final = frozenset({LOAD_GENERATOR, "sandbox"})

CONFIRMED_RATE: Final = "orders confirmed per second"
COMPLETED_RATE: Final = "orders completed per second"
CPU: Final = "CPU ms per order"
RATES: Final = frozenset({CONFIRMED_RATE, COMPLETED_RATE})

Figures = dict[str, float]


class NothingConfirmed(Exception):
    """No order was confirmed within a window, so its cost per order is unknown."""


class Window(NamedTuple):
    """Two readings, and the speed of the machine between them."""

    before: Reading
    after: Reading
    slow: float  # times slower than the reference machine at full speed

    @property
    def seconds(self) -> float:
        return self.after.at - self.before.at

    def contains(self, moment: float | None) -> bool:
        return moment is not None and self.before.at <= moment < self.after.at


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` of all values do not exceed.

    This is the nearest rank. Returns NaN without values.
    """
    if not values:
        return math.nan
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def figures(
    window: Window, placements: Iterable[Placement], outcomes: Mapping[str, OrderOutcome]
) -> Figures:
    """Return the figures of a window. Raises NothingConfirmed and ProgramRestarted."""
    if window.before.pids != window.after.pids:
        raise ProgramRestarted(f"{window.before.pids} became {window.after.pids}")
    confirmed = confirmed_between(window.before.at, window.after.at, outcomes)
    completed = sum(window.contains(outcome.completed_at) for outcome in outcomes.values())
    if not confirmed:
        raise NothingConfirmed
    sent = [placement for placement in placements if window.contains(placement.due)]
    return {
        CONFIRMED_RATE: confirmed / window.seconds,
        COMPLETED_RATE: completed / window.seconds,
        "orders confirmed in the window": confirmed,
        "orders sent in the window": len(sent),
        "orders that failed": sum(not _was_confirmed(placement, outcomes) for placement in sent),
        **_latencies(sent, outcomes),
        **_costs(window, confirmed),
        "cores busy with something else": _cores_busy_elsewhere(window),
        "cores busy": _cores_busy(window),
        "slow": window.slow,
    }


def normalised(figures: Figures) -> Figures:
    """Return rates and CPU costs as they would be on the reference machine at full speed."""
    slow = figures["slow"]
    rates = {name: value * slow for name, value in figures.items() if name in RATES}
    costs = {name: value / slow for name, value in figures.items() if name.startswith(CPU)}
    return rates | costs


def medians(windows: Sequence[Figures]) -> Figures:
    """Return each figure's median over the windows."""
    return {name: statistics.median(window[name] for window in windows) for name in windows[0]}


def ratios(new: Figures, old: Figures) -> Figures:
    """Return new / old for each figure that both have, unless the old one is 0."""
    return {name: value / old[name] for name, value in new.items() if old.get(name)}


def _was_confirmed(placement: Placement, outcomes: Mapping[str, OrderOutcome]) -> bool:
    outcome = outcomes.get(placement.order_id)
    return outcome is not None and outcome.confirmed_at is not None


def _latencies(sent: Sequence[Placement], outcomes: Mapping[str, OrderOutcome]) -> Figures:
    to_202 = [placement.responded_at - placement.due for placement in sent if placement.order_id]
    to_confirmed = [
        outcome.confirmed_at - placement.due
        for placement in sent
        if (outcome := outcomes.get(placement.order_id)) and outcome.confirmed_at is not None
    ]
    return {
        f"POST to {end} p{percent} ms": percentile(seconds, percent) * 1000
        for end, seconds in (("202", to_202), ("confirmed", to_confirmed))
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


def _cores_busy(window: Window) -> float:
    busy = window.after.machine_busy_ms - window.before.machine_busy_ms
    return min(busy / 1000 / window.seconds, os.cpu_count() or 1)


def _cores_busy_elsewhere(window: Window) -> float:
    ours = sum(window.after.cpu_ms.values()) - sum(window.before.cpu_ms.values())
    return max(_cores_busy(window) - ours / 1000 / window.seconds, 0.0)
