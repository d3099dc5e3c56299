"""The schedule in the database: what the table in ``config.beat`` says, unless operations differ."""

from collections.abc import Sequence
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from config.beat import SCHEDULE, ScheduleEntry
from config.celery import app
from config.management.commands import synchronise_schedule as command

pytestmark = pytest.mark.django_db

HOURLY = ScheduleEntry("books: count", "books.count", timedelta(hours=1), "Somebody has to.")
OFTEN = ScheduleEntry("dust: wipe", "dust.wipe", timedelta(seconds=1), "It gathers.")


def synchronise() -> list[str]:
    """Run the command, and return what it told, line by line."""
    out = StringIO()
    call_command("synchronise_schedule", stdout=out)
    return out.getvalue().splitlines()


def follow(monkeypatch: pytest.MonkeyPatch, schedule: Sequence[ScheduleEntry]) -> list[str]:
    """What a deploy with another table does."""
    monkeypatch.setattr(command, "SCHEDULE", tuple(schedule))
    return synchronise()


def rows() -> list[dict[str, object]]:
    """Everything that beat goes by, without the time of the last look."""
    return [
        {name: value for name, value in row.items() if name != "date_changed"}
        for row in PeriodicTask.objects.order_by("pk").values()
    ]


def test_the_table_is_written_into_an_empty_database() -> None:
    told = synchronise()

    assert told == [f"added: {entry.name}" for entry in SCHEDULE]
    found = PeriodicTask.objects.order_by("pk")
    assert [
        (each.name, each.task, each.interval.schedule.run_every, each.description, each.enabled)
        for each in found
    ] == [
        (entry.name, entry.task, entry.every, f"Holdfast: {entry.why}", True) for entry in SCHEDULE
    ]


def test_every_entry_is_an_interval_without_arguments_that_runs_for_ever() -> None:
    synchronise()

    for each in PeriodicTask.objects.all():
        assert (each.args, each.kwargs, each.one_off, each.start_time, each.expires) == (
            "[]",
            "{}",
            False,
            None,
            None,
        )
        assert (each.crontab, each.solar, each.clocked) == (None, None, None)


@pytest.mark.parametrize(("entry", "seconds"), [(HOURLY, 3599), (OFTEN, 1)])
def test_a_tick_that_nobody_took_is_gone_when_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch, entry: ScheduleEntry, seconds: int
) -> None:
    follow(monkeypatch, [entry])

    assert PeriodicTask.objects.get().expire_seconds == seconds


def test_a_tick_may_be_for_a_queue_and_outlive_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    five_minutes = timedelta(minutes=5)
    knock = ScheduleEntry(
        "d", "door.knock", timedelta(seconds=15), "Is it open?", "doors", five_minutes
    )
    follow(monkeypatch, [knock, OFTEN])

    found = PeriodicTask.objects.order_by("pk").values_list("queue", "expire_seconds")

    assert list(found) == [("doors", 300), (None, 1)]


def test_cleaning_up_results_that_nobody_keeps_is_taken_off() -> None:
    every = IntervalSchedule.objects.create(every=1, period="days")
    for name in ("celery.backend_cleanup", "books: count"):
        PeriodicTask.objects.create(name=name, task=name, interval=every)

    told = synchronise()

    assert told[-1] == "removed: celery.backend_cleanup"
    assert len(told) == len(SCHEDULE) + 1
    assert PeriodicTask.objects.filter(name="books: count").exists()


@pytest.mark.django_db(transaction=True)  # beat closes its connection
def test_beat_itself_adds_nothing_to_the_table() -> None:
    beat = DatabaseScheduler(app=app, lazy=True)

    beat.install_default_entries({})

    assert not PeriodicTask.objects.exists()


def test_writing_it_again_changes_nothing() -> None:
    synchronise()
    before = rows()

    told = synchronise()

    assert told == [f"kept: {entry.name}" for entry in SCHEDULE]
    assert rows() == before


def test_writing_it_again_does_not_put_off_what_has_not_run_yet() -> None:
    synchronise()
    PeriodicTask.objects.update(date_changed="2020-01-01T00:00:00Z")

    synchronise()

    assert {each.date_changed.year for each in PeriodicTask.objects.all()} == {2020}


def test_what_operations_switched_off_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch, [HOURLY, OFTEN])
    PeriodicTask.objects.filter(name=HOURLY.name).update(enabled=False)

    follow(monkeypatch, [HOURLY, OFTEN])

    assert dict(PeriodicTask.objects.values_list("name", "enabled")) == {
        HOURLY.name: False,
        OFTEN.name: True,
    }


def test_a_period_that_operations_changed_stays_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch, [HOURLY])
    daily = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.DAYS)
    PeriodicTask.objects.update(interval=daily, expire_seconds=60, queue="sweeps")

    follow(monkeypatch, [HOURLY])

    found = PeriodicTask.objects.get()
    assert (found.interval, found.expire_seconds, found.queue) == (daily, 60, "sweeps")


def test_a_task_that_was_renamed_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch, [HOURLY])

    follow(monkeypatch, [ScheduleEntry(HOURLY.name, "books.audit", HOURLY.every, "It is the law.")])

    found = PeriodicTask.objects.get()
    assert (found.task, found.description) == ("books.audit", "Holdfast: It is the law.")


def test_what_has_left_the_table_leaves_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch, [HOURLY, OFTEN])

    told = follow(monkeypatch, [OFTEN])

    assert told == [f"kept: {OFTEN.name}", f"removed: {HOURLY.name}"]
    assert PeriodicTask.objects.get().name == OFTEN.name


def test_what_operations_added_themselves_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch, [HOURLY])
    theirs = PeriodicTask.objects.create(
        name="theirs", task="theirs.do", interval=IntervalSchedule.objects.get()
    )

    told = follow(monkeypatch, [])

    assert told == [f"removed: {HOURLY.name}"]
    assert PeriodicTask.objects.get() == theirs


def test_two_entries_with_one_period_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch, [HOURLY, ScheduleEntry("tea: brew", "tea.brew", HOURLY.every, "Thirst.")])

    assert IntervalSchedule.objects.get().every == 3600


def test_a_period_that_two_deploys_wrote_at_one_moment_is_taken_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [IntervalSchedule.objects.create(every=3600, period="seconds") for _ in range(2)]

    follow(monkeypatch, [HOURLY])

    assert PeriodicTask.objects.get(name=HOURLY.name).interval_id == rows[0].pk
    assert IntervalSchedule.objects.count() == 2
