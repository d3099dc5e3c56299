"""The schedule at the desk: how often each entry is due, as people say it."""

import pytest
from django.core.management import call_command
from django.test import Client
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from desk.admin import in_words

SCHEDULE = "/admin/django_celery_beat/periodictask/"
PERIODS = "/admin/django_celery_beat/intervalschedule/"


@pytest.mark.parametrize(
    ("every", "period", "said"),
    [
        (86_400, "seconds", "every day"),
        (48, "hours", "every 2 days"),
        (3600, "seconds", "every hour"),
        (90, "minutes", "every 90 minutes"),
        (60, "seconds", "every minute"),
        (3, "seconds", "every 3 seconds"),
        (1, "seconds", "every second"),
        (500, "microseconds", "every 500 microseconds"),
    ],
)
def test_a_period_is_told_in_the_largest_unit_that_it_is_a_multiple_of(
    every: int, period: str, said: str
) -> None:
    assert in_words(IntervalSchedule(every=every, period=period)) == said


def test_the_lists_and_the_form_tell_periods_in_words(desk: Client) -> None:
    call_command("synchronise_schedule", verbosity=0)
    daily = PeriodicTask.objects.get(name="invariants: check everything")

    pages = [
        desk.get(each).content.decode()
        for each in (SCHEDULE, PERIODS, f"{SCHEDULE}{daily.pk}/change/")
    ]

    assert [">every day<" in each for each in pages] == [True, True, True]
    assert not any(">every 86400 seconds<" in each for each in pages)


def test_an_entry_with_a_time_of_day_tells_it(desk: Client) -> None:
    nightly = CrontabSchedule.objects.create(minute="0", hour="4")
    PeriodicTask.objects.create(name="n", task="n", crontab=nightly)

    page = desk.get(SCHEDULE).content.decode()

    assert "0 4 * * *" in page
    assert "None" not in page
