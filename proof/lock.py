"""The lock: the reviewed list of all fault points. A new or vanished point fails `make test`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proof.points import Point

LOCK_FILE: Final = Path(__file__).with_name("fault_points.lock.json")

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

    ``scenarios`` limits the comparison to these.
    """
    reviewed: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
    current = _names(found)
    compared = [
        Difference(
            name,
            new=_missing_in(reviewed.get(name, []), current.get(name, [])),
            vanished=_missing_in(current.get(name, []), reviewed.get(name, [])),
        )
        for name in scenarios or sorted(reviewed.keys() | current.keys())
    ]
    return [difference for difference in compared if difference.new or difference.vanished]


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
