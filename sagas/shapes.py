"""The shape of a saga: what must not change under one version, because runs in flight rely on it.

``manage.py sagas shapes`` writes the shapes of all sagas to a file, and compares the code with it.

A shape has the steps in order, with their kinds, queues, systems, compensations and pending calls. It
also has the saga's signals. Rows and messages keep these names: the journal names steps, a run names
its step and its wait, a message names the steps of a link on one queue. Retries, deadlines, texts and
rejections are not in it: each decision reads them anew.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sagas.definition import Saga, Step
from sagas.work import Local, Remote, Wait, Work

Shape = Mapping[str, Any]
Shapes = Mapping[str, Shape]
"""The shapes by saga and version, such as ``checkout 1``."""

REMEDY: Final = (
    "raise `version`, and keep the old definition registered until its last run has ended"
    " (or, if this version was never deployed, remove its entry from the file and run `make versions`)"
)


def shape_of(saga: Saga) -> Shape:
    """Return what must not change under ``saga``'s version, as JSON."""
    return {
        "steps": [_step_shape(step) for step in saga.steps],
        "compensation_queue": saga.compensation_queue,
        "compensating_only": saga.compensating_only,
        "signals": sorted(signal.name for signal in saga.signals),
    }


def shapes_of(sagas: Iterable[Saga]) -> Shapes:
    """Return the shapes of these definitions, by name and version."""
    ordered = sorted(sagas, key=lambda saga: (saga.name, saga.version))
    return {f"{saga.name} {saga.version}": shape_of(saga) for saga in ordered}


def differences(recorded: Shapes, present: Shapes) -> Iterator[str]:
    """Yield a sentence for each version whose shape is not the recorded one, and for each new one."""
    for version, shape in recorded.items():
        if version not in present:
            yield (
                f"{version}: recorded, but not in this code; keep it registered until its last run"
                " has ended, then run `make versions`"
            )
        else:
            for change in _changes(shape, present[version]):
                yield f"{version}: {change}; {REMEDY}"
    for version in present:
        if version not in recorded:
            yield f"{version}: not recorded yet; run `make versions`"


def changed_versions(recorded: Shapes, present: Shapes) -> Iterator[str]:
    """Yield a sentence for each difference under a recorded version that this code still has."""
    for version in sorted(recorded.keys() & present.keys()):
        yield from differences({version: recorded[version]}, {version: present[version]})


def as_text(shapes: Shapes) -> str:
    """Return the contents of the file."""
    return json.dumps(shapes, indent=2, sort_keys=True) + "\n"


def _step_shape(step: Step) -> Shape:
    shape: dict[str, Any] = {"name": step.name, "queue": step.queue, **_work_shape(step.action)}
    if step.compensating_action is not None:
        shape["compensation"] = {
            "name": step.compensation_name,
            **_work_shape(step.compensating_action),
        }
    return shape


def _work_shape(work: Work) -> Shape:
    match work:
        case Local():
            return {"kind": "local"}
        case Remote():
            pending = sorted(work.pending_by_code)
            return {"kind": "remote", "system": work.system, "waits_for": pending}
        case Wait():
            return {"kind": "wait", "begins": work.begin is not None}


def _changes(before: Shape, after: Shape) -> Iterator[str]:
    steps = {step["name"]: step for step in before["steps"]}
    new_steps = {step["name"]: step for step in after["steps"]}
    for name in {**steps, **new_steps}:
        if name not in new_steps:
            yield f"step {name} is gone"
        elif name not in steps:
            yield f"step {name} is new"
        else:
            yield from _field_changes(f"step {name}: ", steps[name], new_steps[name])
    if steps.keys() == new_steps.keys() and list(steps) != list(new_steps):
        moved = next(old for old, new in zip(steps, new_steps, strict=True) if old != new)
        yield f"step {moved} is at another place"
    rest = [{**shape, "steps": None} for shape in (before, after)]
    yield from _field_changes("", *rest)


def _field_changes(where: str, before: Shape, after: Shape) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield f"{where}{name} was {_shown(old)} and is {_shown(new)}"


def _shown(value: object) -> str:
    return "absent" if value is None else json.dumps(value, sort_keys=True)
