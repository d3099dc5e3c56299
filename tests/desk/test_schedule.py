"""The schedule at the desk: periods are shown in words."""

import pytest
from django.core.management import call_command
from django.test import Client
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from desk.admin import period_text

SCHEDULE = "/admin/django_celery_beat/periodictask/"
PERIODS = "/admin/django_celery_beat/intervalschedule/"


@pytest.mark.parametrize(
    ("every", "period", "text"),
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
def test_a_period_is_shown_in_the_largest_unit_that_divides_it(
    every: int, period: str, text: str
) -> None:
    assert period_text(IntervalSchedule(every=every, period=period)) == text


def test_lists_and_form_show_periods_in_words(desk: Client) -> None:
    call_command("synchronise_schedule", verbosity=0)
    daily = PeriodicTask.objects.get(name="invariants: check everything")

    pages = [
        desk.get(path).content.decode()
        for path in (SCHEDULE, PERIODS, f"{SCHEDULE}{daily.pk}/change/")
    ]

    assert [">every day<" in page for page in pages] == [True, True, True]
    assert not any(">every 86400 seconds<" in page for page in pages)


def test_an_entry_with_a_time_of_day_shows_it(desk: Client) -> None:
    nightly = CrontabSchedule.objects.create(minute="0", hour="4")
    PeriodicTask.objects.create(name="n", task="n", crontab=nightly)

    page = desk.get(SCHEDULE).content.decode()

    assert "0 4 * * *" in page
    assert "None" not in page
