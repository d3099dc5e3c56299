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


def test_a_new_version_of_a_saga_shows_only_the_points_that_it_adds(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    write({"paid": two_links("checkout.v1.reserve-pay", "checkout.v1.capture")}, lock)
    asked = Point("worker", "checkout.v2.reserve-ask-pay", Kind.HTTP, "fraud.score", 1)

    found = two_links("checkout.v2.reserve-ask-pay", "checkout.v2.capture")
    [difference] = differences({"paid": [*found, asked]}, path=lock)

    assert differences({"paid": found}, path=lock) == []
    assert difference.new == ["worker/checkout.v2.reserve-ask-pay/http/fraud.score/1"]
    assert difference.vanished == []


def test_a_vanished_task_keeps_its_reviewed_name(tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    write({"paid": two_links("checkout.v1.reserve-pay", "checkout.v1.capture")}, lock)

    [difference] = differences(
        {"paid": [Point("worker", "cancellation.v1.reserve", Kind.ACK, "message", 1)]}, path=lock
    )

    assert difference.vanished == [
        "worker/checkout.v1.reserve-pay/publish/checkout.v1.capture/1",
        "worker/checkout.v1.capture/ack/message/1",
    ]


def two_links(first: str, second: str) -> list[Point]:
    """Return the points of a task that publishes another task."""
    return [
        Point("worker", first, Kind.PUBLISH, second, 1),
        Point("worker", second, Kind.ACK, "message", 1),
    ]
