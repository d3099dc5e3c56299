"""The engine as a Django app."""

from django.apps import AppConfig


class SagasConfig(AppConfig):
    name = "sagas"

    def ready(self) -> None:
        import sagas.checks  # noqa: F401, PLC0415 - registers the system checks
