"""The recorded shapes of sagas: a changed saga needs a new version."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError

from orders.saga import SAGAS
from sagas import shapes
from sagas.definition import Saga, Step
from tests.support.command_runner import output_of
from tests.support.fake_sagas import UNLIMITED_TRIES, FakeSagas
from tests.support.source_files import ROOT

RECORDED = ROOT / "config" / "saga_versions.json"

Change = Callable[[FakeSagas, list[Step]], object]


def renamed(fakes: FakeSagas, steps: list[Step]) -> None:
    steps[0] = fakes.local("wrap")


def moved(_: FakeSagas, steps: list[Step]) -> None:
    steps[1], steps[2] = steps[2], steps[1]


def added(fakes: FakeSagas, steps: list[Step]) -> None:
    steps.insert(1, fakes.local("weigh"))


def removed(_: FakeSagas, steps: list[Step]) -> None:
    steps.pop()


def of_another_kind(fakes: FakeSagas, steps: list[Step]) -> None:
    steps[0] = fakes.wait("pack", begins=True)


def on_another_queue(fakes: FakeSagas, steps: list[Step]) -> None:
    steps[0] = fakes.local("pack", queue="settlement")


def without_its_compensation(fakes: FakeSagas, steps: list[Step]) -> None:
    steps[-1] = fakes.local("file", is_compensable=False, may_reject=False)


def with_another_compensation(_: FakeSagas, steps: list[Step]) -> None:
    steps[0].compensation_name = "unpack"


def without_its_pending_call(fakes: FakeSagas, steps: list[Step]) -> None:
    steps[1] = fakes.remote("send", rejected_by=())


def without_its_begin(fakes: FakeSagas, steps: list[Step]) -> None:
    steps[2] = fakes.wait("pickup")


CHANGES: dict[Change, list[str]] = {
    renamed: ["step pack is gone", "step wrap is new"],
    moved: ["step send is at another place"],
    added: ["step weigh is new"],
    removed: ["step file is gone"],
    of_another_kind: [
        "step pack: begins was absent and is true",
        'step pack: kind was "local" and is "wait"',
    ],
    on_another_queue: ['step pack: queue was "checkout" and is "settlement"'],
    without_its_compensation: [
        'step file: compensation was {"kind": "local", "name": "compensate file"} and is absent'
    ],
    with_another_compensation: [
        (
            'step pack: compensation was {"kind": "local", "name": "compensate pack"}'
            ' and is {"kind": "local", "name": "unpack"}'
        )
    ],
    without_its_pending_call: ['step send: waits_for was ["Accepted"] and is []'],
    without_its_begin: [
        "step pickup: begins was true and is false",
        'step pickup: compensation was {"kind": "local", "name": "compensate pickup"} and is absent',
    ],
}


def parcel_steps(fakes: FakeSagas) -> list[Step]:
    return [
        fakes.local("pack"),
        fakes.remote("send"),
        fakes.wait("pickup", begins=True),
        fakes.local("file"),
    ]


def unregistered(*steps: Step, version: int = 1) -> Saga:
    return Saga("parcel", version, steps, compensation_queue="compensation")


def test_the_recorded_shapes_are_those_of_the_code() -> None:
    recorded, present = json.loads(RECORDED.read_text()), shapes.shapes_of(SAGAS)

    assert list(shapes.differences(recorded, present)) == [], "see docs/changing-a-saga.md"
    assert RECORDED.read_text() == shapes.as_text(present), "run: make versions"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_under_the_same_version_is_found_and_names_the_step(
    fakes: FakeSagas, change: Change
) -> None:
    steps = parcel_steps(fakes)
    before = shapes.shapes_of([unregistered(*steps)])
    assert list(shapes.differences(before, before)) == []

    change(fakes, steps)

    after = shapes.shapes_of([unregistered(*steps)])
    assert list(shapes.differences(before, after)) == [
        f"parcel 1: {expected}; {shapes.REMEDY}" for expected in CHANGES[change]
    ]


def test_what_is_read_anew_at_each_decision_may_change(fakes: FakeSagas) -> None:
    before = unregistered(fakes.remote("send"))
    after = unregistered(fakes.remote("send", retry=UNLIMITED_TRIES))

    assert shapes.shape_of(before) == shapes.shape_of(after)


def test_the_queue_of_compensations_and_pausing_belong_to_the_shape(fakes: FakeSagas) -> None:
    step = fakes.local("pack")
    before = Saga("parcel", 1, (step,), compensation_queue="compensation")
    after = Saga("parcel", 1, (step,), compensation_queue="other", compensating_only=True)

    found = list(shapes.differences(shapes.shapes_of([before]), shapes.shapes_of([after])))

    assert found == [
        f"parcel 1: compensating_only was false and is true; {shapes.REMEDY}",
        f'parcel 1: compensation_queue was "compensation" and is "other"; {shapes.REMEDY}',
    ]


def test_a_new_version_beside_the_old_one_only_has_to_be_recorded(fakes: FakeSagas) -> None:
    first, second = (unregistered(fakes.local("pack"), version=version) for version in (1, 2))
    both, one = shapes.shapes_of([second, first]), shapes.shapes_of([first])

    assert list(both) == ["parcel 1", "parcel 2"]
    assert list(shapes.differences(one, both)) == [
        "parcel 2: not recorded yet; run `make versions`"
    ]
    assert list(shapes.differences(both, one)) == [
        (
            "parcel 2: recorded, but not in this code; keep it registered until its last run has"
            " ended, then run `make versions`"
        )
    ]


@pytest.mark.django_db
def test_the_command_records_new_and_gone_versions_but_no_change(
    fakes: FakeSagas, tmp_path: Path
) -> None:
    path, of_code = tmp_path / "versions.json", RECORDED.read_text()
    saga = fakes.saga(fakes.local("pack"))
    with pytest.raises(CommandError, match="parcel 1: not recorded yet; run `make versions`"):
        output_of("sagas", "shapes", "--check", str(path))

    assert output_of("sagas", "shapes", "--record", str(path)) == ""
    assert output_of("sagas", "shapes", "--check", str(path)) == ""
    assert json.loads(path.read_text()) == {
        **json.loads(of_code),
        "parcel 1": shapes.shape_of(saga),
    }

    fakes.unregister_all()
    fakes.saga(fakes.local("wrap"))
    written = path.read_text()
    with pytest.raises(CommandError, match="parcel 1: step pack is gone; raise `version`"):
        output_of("sagas", "shapes", "--record", str(path))
    assert path.read_text() == written

    fakes.unregister_all()
    assert (
        output_of("sagas", "shapes", "--record", str(path)) == "parcel 1 is no longer in the code\n"
    )
    assert path.read_text() == of_code == output_of("sagas", "shapes")
