"""The benchmark's sagas as a Django app."""

from django.apps import AppConfig


class WaitsConfig(AppConfig):
    name = "benchmarks.waits.inside"
    label = "bench_waits"

    def ready(self) -> None:
        from benchmarks.waits.inside.waiting import SAGAS  # noqa: PLC0415 - models come first
        from sagas.registry import register  # noqa: PLC0415

        for saga in SAGAS:
            register(saga)
