"""The providers of this installation, as the setting PAYMENT_PROVIDERS names their packages.

A provider is a package with ``provider.PROVIDER``, which implements ``PaymentProvider``. It may have
``settings`` too: ``TITLE``, and ``read`` for its environment variables. Its name, which is stored
with each payment, is the last part of the package's path.
"""

from collections.abc import Mapping
from functools import lru_cache

from django.conf import settings
from django.utils.module_loading import import_string

from payments.errors import UnknownPaymentMethod, UnknownProvider
from payments.providers.protocol import PaymentProvider


def providers() -> Mapping[str, PaymentProvider]:
    """Return every provider of this installation by its name, in the order of the setting."""
    return _load(tuple(settings.PAYMENT_PROVIDERS))


@lru_cache
def _load(packages: tuple[str, ...]) -> Mapping[str, PaymentProvider]:
    return {
        package.rpartition(".")[2]: import_string(f"{package}.provider.PROVIDER")
        for package in packages
    }


def provider_named(name: str) -> PaymentProvider:
    """Return a provider. Raises UnknownProvider for one that was taken out of the setting."""
    try:
        return providers()[name]
    except KeyError:
        raise UnknownProvider(name) from None


def provider_name_for_method(payment_method: str) -> str:
    """Return the name of the first provider that accepts a method. Raises UnknownPaymentMethod."""
    for name, provider in providers().items():
        if provider.accepts_payment_method(payment_method):
            return name
    raise UnknownPaymentMethod(payment_method)
