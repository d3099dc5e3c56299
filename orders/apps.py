"""Orders as a Django app."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self) -> None:
        from orders.saga import SAGAS  # noqa: PLC0415 - models must be loaded first
        from sagas.registry import register  # noqa: PLC0415

        for saga in SAGAS:
            register(saga)
