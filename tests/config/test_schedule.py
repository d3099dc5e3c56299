"""``synchronise_schedule`` writes ``config.beat`` into the database, and keeps operators' changes."""

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

HOURLY = ScheduleEntry("books: count", "books.count", timedelta(hours=1), "Counts books.")
OFTEN = ScheduleEntry("dust: wipe", "dust.wipe", timedelta(seconds=1), "Wipes dust.")


def synchronise() -> list[str]:
    """Run the command, and return the lines that it printed."""
    out = StringIO()
    call_command("synchronise_schedule", stdout=out)
    return out.getvalue().splitlines()


def deploy(monkeypatch: pytest.MonkeyPatch, schedule: Sequence[ScheduleEntry]) -> list[str]:
    """Run the command with another schedule, as a new version does."""
    monkeypatch.setattr(command, "SCHEDULE", tuple(schedule))
    return synchronise()


def rows() -> list[dict[str, object]]:
    """Return all columns that beat uses, without the time of the last change."""
    return [
        {name: value for name, value in row.items() if name != "date_changed"}
        for row in PeriodicTask.objects.order_by("pk").values()
    ]


def test_an_empty_database_gets_all_entries() -> None:
    lines = synchronise()

    assert lines == [f"added: {entry.name}" for entry in SCHEDULE]
    found = PeriodicTask.objects.order_by("pk")
    assert [
        (task.name, task.task, task.interval.schedule.run_every, task.description, task.enabled)
        for task in found
    ] == [
        (entry.name, entry.task, entry.every, f"Holdfast: {entry.why}", True) for entry in SCHEDULE
    ]


def test_every_entry_is_an_unlimited_interval_without_arguments() -> None:
    synchronise()

    for task in PeriodicTask.objects.all():
        assert (task.args, task.kwargs, task.one_off, task.start_time, task.expires) == (
            "[]",
            "{}",
            False,
            None,
            None,
        )
        assert (task.crontab, task.solar, task.clocked) == (None, None, None)


@pytest.mark.parametrize(("entry", "seconds"), [(HOURLY, 3599), (OFTEN, 1)])
def test_an_unprocessed_message_expires_before_the_next_one(
    monkeypatch: pytest.MonkeyPatch, entry: ScheduleEntry, seconds: int
) -> None:
    deploy(monkeypatch, [entry])

    assert PeriodicTask.objects.get().expire_seconds == seconds


def test_an_entry_may_have_a_queue_and_a_longer_expiry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    five_minutes = timedelta(minutes=5)
    entry = ScheduleEntry(
        "d", "door.knock", timedelta(seconds=15), "Knocks.", "doors", five_minutes
    )
    deploy(monkeypatch, [entry, OFTEN])

    found = PeriodicTask.objects.order_by("pk").values_list("queue", "expire_seconds")

    assert list(found) == [("doors", 300), (None, 1)]


def test_celerys_clean_up_of_results_is_removed() -> None:
    every = IntervalSchedule.objects.create(every=1, period="days")
    for name in ("celery.backend_cleanup", "books: count"):
        PeriodicTask.objects.create(name=name, task=name, interval=every)

    lines = synchronise()

    assert lines[-1] == "removed: celery.backend_cleanup"
    assert len(lines) == len(SCHEDULE) + 1
    assert PeriodicTask.objects.filter(name="books: count").exists()


@pytest.mark.django_db(transaction=True)  # beat closes its connection
def test_beat_adds_no_entries_itself() -> None:
    beat = DatabaseScheduler(app=app, lazy=True)

    beat.install_default_entries({})

    assert not PeriodicTask.objects.exists()


def test_a_second_run_changes_nothing() -> None:
    synchronise()
    before = rows()

    lines = synchronise()

    assert lines == [f"kept: {entry.name}" for entry in SCHEDULE]
    assert rows() == before


def test_a_second_run_does_not_restart_periods() -> None:
    synchronise()
    PeriodicTask.objects.update(date_changed="2020-01-01T00:00:00Z")

    synchronise()

    assert {task.date_changed.year for task in PeriodicTask.objects.all()} == {2020}


def test_entries_that_operators_switched_off_stay_off(monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, [HOURLY, OFTEN])
    PeriodicTask.objects.filter(name=HOURLY.name).update(enabled=False)

    deploy(monkeypatch, [HOURLY, OFTEN])

    assert dict(PeriodicTask.objects.values_list("name", "enabled")) == {
        HOURLY.name: False,
        OFTEN.name: True,
    }


def test_periods_that_operators_changed_stay_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, [HOURLY])
    daily = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.DAYS)
    PeriodicTask.objects.update(interval=daily, expire_seconds=60, queue="sweeps")

    deploy(monkeypatch, [HOURLY])

    found = PeriodicTask.objects.get()
    assert (found.interval, found.expire_seconds, found.queue) == (daily, 60, "sweeps")


def test_a_renamed_task_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, [HOURLY])

    deploy(monkeypatch, [ScheduleEntry(HOURLY.name, "books.audit", HOURLY.every, "Audits books.")])

    found = PeriodicTask.objects.get()
    assert (found.task, found.description) == ("books.audit", "Holdfast: Audits books.")


def test_removed_entries_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, [HOURLY, OFTEN])

    lines = deploy(monkeypatch, [OFTEN])

    assert lines == [f"kept: {OFTEN.name}", f"removed: {HOURLY.name}"]
    assert PeriodicTask.objects.get().name == OFTEN.name


def test_entries_that_operators_added_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, [HOURLY])
    theirs = PeriodicTask.objects.create(
        name="theirs", task="theirs.do", interval=IntervalSchedule.objects.get()
    )

    lines = deploy(monkeypatch, [])

    assert lines == [f"removed: {HOURLY.name}"]
    assert PeriodicTask.objects.get() == theirs


def test_entries_with_the_same_period_share_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(
        monkeypatch, [HOURLY, ScheduleEntry("tea: brew", "tea.brew", HOURLY.every, "Brews tea.")]
    )

    assert IntervalSchedule.objects.get().every == 3600


def test_of_two_rows_of_one_period_the_first_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [IntervalSchedule.objects.create(every=3600, period="seconds") for _ in range(2)]

    deploy(monkeypatch, [HOURLY])

    assert PeriodicTask.objects.get(name=HOURLY.name).interval_id == rows[0].pk
    assert IntervalSchedule.objects.count() == 2
