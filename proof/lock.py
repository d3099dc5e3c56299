"""The reviewed list of all fault points: no effect enters the code, or leaves it, unseen."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proof.points import Point

LOCK_FILE: Final = Path(__file__).with_name("fault_points.lock.json")

ADVICE: Final = (
    "Each of these is a moment at which a process can die. If you meant to add or remove it, run"
    " `make prove-lock` and review what it changes; then `make prove`."
)


@dataclass(frozen=True)
class Difference:
    """How the points of one scenario differ from the reviewed ones."""

    scenario: str
    new: list[str]
    vanished: list[str]

    def __str__(self) -> str:
        signs = [f"  + {each}" for each in self.new] + [f"  - {each}" for each in self.vanished]
        return "\n".join([self.scenario, *signs])


def differences(
    found: Mapping[str, Sequence[Point]], scenarios: Iterable[str] = (), path: Path = LOCK_FILE
) -> list[Difference]:
    """Compare the points that golden runs passed with the reviewed ones, scenario by scenario.

    With ``scenarios`` only these are looked at.
    """
    reviewed: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
    named = _names(found)
    compared = [
        Difference(
            name,
            new=[each for each in named.get(name, []) if each not in reviewed.get(name, [])],
            vanished=[each for each in reviewed.get(name, []) if each not in named.get(name, [])],
        )
        for name in scenarios or sorted(reviewed.keys() | named.keys())
    ]
    return [each for each in compared if each.new or each.vanished]


def write(found: Mapping[str, Sequence[Point]], path: Path = LOCK_FILE) -> None:
    """Take the points as they are now for the reviewed ones."""
    path.write_text(json.dumps(_names(found), indent=1) + "\n")


def _names(found: Mapping[str, Sequence[Point]]) -> dict[str, list[str]]:
    """By actors, in the order in which they began: how they interleave says nothing."""
    named = {}
    for name, points in found.items():
        actors = list(dict.fromkeys(each.actor for each in points))
        in_order = sorted(points, key=lambda each: actors.index(each.actor))
        named[name] = [str(each) for each in in_order]
    return named
