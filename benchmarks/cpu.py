"""Processor time by group of processes, from /proc."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_TICK_MS: Final = 1000 / os.sysconf("SC_CLK_TCK")
# Columns of /proc/<pid>/stat after the name in parentheses: utime, stime, those of reaped children.
_OWN_TICKS: Final = slice(11, 13)
_ALL_TICKS: Final = slice(11, 15)
# Columns of the first line of /proc/stat, without idle, iowait, and guest time (counted twice).
_BUSY_COLUMNS: Final = (0, 1, 2, 5, 6)

LOAD_GENERATOR: Final = "load generator"
GROUPS: Final[Mapping[str, str]] = {
    "beat": "sweeps, beat, watch",
    "watch": "sweeps, beat, watch",
    "worker-sweeps": "sweeps, beat, watch",
    "postgres": "PostgreSQL",
    "valkey": "broker",
    "stripe": "sandbox",
}
"""The group of each program. A program that is not named here is a group of its own."""


def by_group(pids: Mapping[str, int], load_backend: int) -> dict[str, float]:
    """Return the CPU milliseconds that each group has spent so far, descendants included.

    ``load_backend`` is the PostgreSQL process that serves the load generator, and counts with it.
    The time of a child that ends moves to its parent, so the difference of two readings stays right.
    """
    spent = dict.fromkeys(GROUPS.values(), 0.0)
    for program, pid in pids.items():
        group = GROUPS.get(program, program)
        spent[group] = spent.get(group, 0.0) + sum(map(_all_ms, _tree(pid)))
    backend_ms = _all_ms(load_backend)
    spent["PostgreSQL"] -= backend_ms
    spent[LOAD_GENERATOR] = _own_ms(os.getpid()) + backend_ms
    return spent


def machine_busy_ms() -> float:
    """Return the milliseconds that all cores of the machine have been busy since it started."""
    columns = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(columns[position]) for position in _BUSY_COLUMNS) * _TICK_MS


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:  # grows while it is read
        for listing in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, _read(listing).split())
    return found


def _all_ms(pid: int) -> float:
    return _ticks(pid, _ALL_TICKS) * _TICK_MS


def _own_ms(pid: int) -> float:
    return _ticks(pid, _OWN_TICKS) * _TICK_MS


def _ticks(pid: int, columns: slice) -> int:
    after_name = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, after_name[columns]))


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # the process has ended meanwhile
