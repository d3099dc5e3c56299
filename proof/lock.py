"""The lock: the reviewed list of all fault points. A new or vanished point fails `make test`."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proof.points import Point

LOCK_FILE: Final = Path(__file__).with_name("fault_points.lock.json")

_TASK: Final = re.compile(r"(?P<saga>\w+)\.v\d+\.[\w-]+")
"""The name of a task in the name of a point: saga, version and steps."""

ADVICE: Final = (
    "At each of these points a process can die. If you meant to add or remove them, run"
    " `make prove-lock` and review the difference; then run `make prove`."
)


@dataclass(frozen=True)
class Difference:
    """How the points of one scenario differ from the reviewed ones."""

    scenario: str
    new: list[str]
    vanished: list[str]

    def __str__(self) -> str:
        new = [f"  + {point}" for point in self.new]
        vanished = [f"  - {point}" for point in self.vanished]
        return "\n".join([self.scenario, *new, *vanished])


def differences(
    found: Mapping[str, Sequence[Point]], scenarios: Iterable[str] = (), path: Path = LOCK_FILE
) -> list[Difference]:
    """Compare the points of golden runs with the reviewed ones; return the scenarios that differ.

    ``scenarios`` limits the comparison to these. A task that has another name only because of a new
    version of its saga, or of a step added to it, is the same task.
    """
    current = _names(found)
    locked: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
    reviewed = {
        name: _with_current_tasks(points, current.get(name, [])) for name, points in locked.items()
    }
    compared = [
        Difference(
            name,
            new=_missing_in(reviewed.get(name, []), current.get(name, [])),
            vanished=_missing_in(current.get(name, []), reviewed.get(name, [])),
        )
        for name in scenarios or sorted(reviewed.keys() | current.keys())
    ]
    return [difference for difference in compared if difference.new or difference.vanished]


def _with_current_tasks(reviewed: Sequence[str], current: Sequence[str]) -> list[str]:
    """Return the reviewed points with each task named as the current task that shares its steps."""
    tasks = {match.group() for point in current for match in _TASK.finditer(point)}

    def current_name(old: re.Match[str]) -> str:
        shared = {
            task: _steps(task) & _steps(old.group())
            for task in tasks
            if task.split(".")[0] == old["saga"]
        }
        best = max(sorted(shared), key=lambda task: len(shared[task]), default=None)
        return best if best is not None and shared[best] else old.group()

    return [_TASK.sub(current_name, point) for point in reviewed]


def _steps(task: str) -> set[str]:
    return set(task.rpartition(".")[2].split("-"))


def _missing_in(known: Sequence[str], points: Sequence[str]) -> list[str]:
    return [point for point in points if point not in known]


def write(found: Mapping[str, Sequence[Point]], path: Path = LOCK_FILE) -> None:
    """Write the points into the lock: they count as reviewed from now on."""
    path.write_text(json.dumps(_names(found), indent=1) + "\n")


def _names(found: Mapping[str, Sequence[Point]]) -> dict[str, list[str]]:
    """Return each scenario's point names, grouped by actor: how actors interleave is chance."""
    names = {}
    for scenario, points in found.items():
        actors = list(dict.fromkeys(point.actor for point in points))
        in_order = sorted(points, key=lambda point: actors.index(point.actor))
        names[scenario] = [str(point) for point in in_order]
    return names
