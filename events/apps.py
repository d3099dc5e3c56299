"""Events as a Django app."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"

    def ready(self) -> None:
        from events import registry  # noqa: PLC0415 - models must be loaded first

        registry.find_all()
