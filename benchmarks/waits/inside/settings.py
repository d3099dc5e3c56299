"""The application's settings, and the app with the benchmark's sagas. Only a sandbox can use them."""

from typing import Final

from django.core.exceptions import ImproperlyConfigured

from config.settings import *  # noqa: F403 - its names are settings
from config.settings import INSTALLATION_ID, INSTALLED_APPS

SANDBOX: Final = "sandbox-"
"""The ids of all installations begin so that a sandbox has made."""

if not INSTALLATION_ID.startswith(SANDBOX):
    raise ImproperlyConfigured("these settings are for the sandbox of `make bench-waits` only")

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.waits.inside"]
