"""The lock of fault points reports new and vanished points."""

from pathlib import Path

from proof.lock import differences, write
from proof.points import Kind, Point


def commit(nth: int, actor: str = "worker") -> Point:
    return Point(actor, "-", Kind.COMMIT, "orders_order", nth)


def test_reviewed_points_are_no_difference(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    write({"paid": [commit(1), commit(2)]}, lock)

    assert differences({"paid": [commit(2), commit(1)]}, path=lock) == []


def test_a_new_point_and_a_vanished_point_are_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    write({"paid": [commit(1)], "declined": [commit(1)]}, lock)

    [found] = differences({"paid": [commit(2)], "declined": [commit(1)]}, path=lock)

    assert (found.scenario, found.new, found.vanished) == (
        "paid",
        ["worker/-/commit/orders_order/2"],
        ["worker/-/commit/orders_order/1"],
    )


def test_a_vanished_scenario_is_a_difference(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    write({"paid": [commit(1)]}, lock)

    assert [difference.scenario for difference in differences({}, path=lock)] == ["paid"]


def test_how_actors_interleave_does_not_change_the_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    write({"paid": [commit(1), commit(1, "sweep"), commit(2)]}, first)
    write({"paid": [commit(1), commit(2), commit(1, "sweep")]}, second)

    assert first.read_text() == second.read_text()
