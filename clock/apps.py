"""The clock as a Django app."""

from django.apps import AppConfig


class ClockConfig(AppConfig):
    name = "clock"

    def ready(self) -> None:
        import clock.checks  # noqa: F401, PLC0415 - registers the system check
