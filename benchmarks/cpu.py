"""Processor time by group of processes, from /proc."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_TICK_MS: Final = 1000 / os.sysconf("SC_CLK_TCK")
# Of /proc/<pid>/stat after the name in parentheses: utime, stime, and those of reaped children.
_OWN_TICKS: Final = slice(11, 13)
_ALL_TICKS: Final = slice(11, 15)
# Of the first line of /proc/stat: all but idle, iowait, and what guests are counted twice.
_BUSY_COLUMNS: Final = (0, 1, 2, 5, 6)

LOAD: Final = "load generator"
GROUPS: Final[Mapping[str, str]] = {
    "beat": "sweeps, beat, watch",
    "watch": "sweeps, beat, watch",
    "worker-sweeps": "sweeps, beat, watch",
    "postgres": "PostgreSQL",
    "valkey": "broker",
    "stripe": "sandbox",
}
"""By program; one that is not named here is a group of its own."""


def by_group(pids: Mapping[str, int], load_backend: int) -> dict[str, float]:
    """Return the milliseconds spent so far by each group, descendants included.

    ``load_backend`` is the PostgreSQL process that serves the load generator, and counts as it.
    A child that ends moves its time, all of it, to its parent: the difference of two readings is
    right all the same.
    """
    spent = dict.fromkeys(GROUPS.values(), 0.0)
    for program, pid in pids.items():
        group = GROUPS.get(program, program)
        spent[group] = spent.get(group, 0.0) + sum(map(_all_ms, _tree(pid)))
    watching = _all_ms(load_backend)
    spent["PostgreSQL"] -= watching
    spent[LOAD] = _own_ms(os.getpid()) + watching
    return spent


def machine_busy_ms() -> float:
    """Return the milliseconds that all processors of the machine have worked since it started."""
    columns = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(columns[each]) for each in _BUSY_COLUMNS) * _TICK_MS


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
        return ""  # it has ended meanwhile
