"""Payments as a Django app."""

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        """Refuse to start with a currency that some payment provider cannot charge."""
        from payments.errors import CurrencyNotCharged  # noqa: PLC0415 - needs the loaded apps
        from payments.services import check_currency  # noqa: PLC0415

        try:
            check_currency(settings.CURRENCY)
        except CurrencyNotCharged as error:
            raise ImproperlyConfigured(f"CURRENCY: {error}") from None
