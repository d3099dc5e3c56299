"""The reviewed list of fault points notices what is new and what is gone."""

from pathlib import Path

from proof.lock import differences, write
from proof.points import Kind, Point


def commit(nth: int, actor: str = "worker") -> Point:
    return Point(actor, "-", Kind.COMMIT, "orders_order", nth)


def test_points_that_were_reviewed_make_no_difference(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    write({"paid": [commit(1), commit(2)]}, lock)

    assert differences({"paid": [commit(2), commit(1)]}, path=lock) == []


def test_a_new_point_and_a_vanished_one_are_named(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    write({"paid": [commit(1)], "declined": [commit(1)]}, lock)

    [found] = differences({"paid": [commit(2)], "declined": [commit(1)]}, path=lock)

    assert (found.scenario, found.new, found.vanished) == (
        "paid",
        ["worker/-/commit/orders_order/2"],
        ["worker/-/commit/orders_order/1"],
    )


def test_a_scenario_that_is_gone_is_a_difference(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    write({"paid": [commit(1)]}, lock)

    assert [each.scenario for each in differences({}, path=lock)] == ["paid"]


def test_how_actors_interleave_does_not_change_the_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    write({"paid": [commit(1), commit(1, "sweep"), commit(2)]}, one)
    write({"paid": [commit(1), commit(2), commit(1, "sweep")]}, other)

    assert one.read_text() == other.read_text()
