"""All settings, read from the environment. A missing or invalid value raises an error at start."""

from datetime import timedelta
from pathlib import Path

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from config import (
    celery_settings,
    desk_settings,
    event_settings,
    observability_settings,
    openapi,
    web_settings,
)
from config.application import PACKAGES
from config.celery_settings import *  # noqa: F403 - its names are settings
from config.desk_settings import *  # noqa: F403
from config.env import Section
from config.event_settings import *  # noqa: F403
from config.provider_settings import read_provider_settings
from config.throttle_settings import (
    max_open_orders,
    max_streams_per_customer,
    max_streams_per_process,
    max_waiters_per_customer,
    max_waiters_per_process,
    rates_of_callers,
)
from config.web_settings import *  # noqa: F403
from money.currencies import EXPONENTS

# Allows type parameters of Django's generic classes at run time.
django_stubs_ext.monkeypatch()

# --- Django --------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "config",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "adminkit",
    "desk.apps.DeskAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "csp",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "django_celery_beat",
    # Our other apps: all except the two that are listed above.
    *(package for package in reversed(PACKAGES) if package not in {"config", "adminkit"}),
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the app directories: the desk replaces templates of other apps.
        "DIRS": [Path(__file__).parent.parent / "desk" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- PostgreSQL ----------------------------------------------------------------------------------

_postgresql = Section("PostgreSQL")
DATABASES = {
    "default": _postgresql.database(
        "DATABASE_URL", "PostgreSQL, as postgres://user:password@host/name."
    )
}
DATABASES["default"] |= {
    "ENGINE": "config.postgresql",
    "CONN_MAX_AGE": None,
    # A connection that a database restart has closed is replaced before its next use.
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        **DATABASES["default"].get("OPTIONS", {}),
        "connect_timeout": 5,
        # Planning the statements of one order takes about 1 ms; prepared statements are planned once.
        "server_side_binding": True,
        "prepare_threshold": 2,
        # Celery's time limits do not apply to threads: PostgreSQL ends statements that hang.
        "options": "-c statement_timeout=10s -c lock_timeout=3s -c idle_in_transaction_session_timeout=15s",
    },
}

# --- Payments ------------------------------------------------------------------------------------

_payments = Section("Payments")
PAYMENT_PROVIDERS = _payments.list_of_text(
    "PAYMENT_PROVIDERS",
    "The packages of the payment providers. An order goes to the first that accepts its payment "
    "method. A provider that has payments must stay in the list.",
    ["payments.providers.stripe"],
)
INSTALLATION_ID = _payments.text(
    "INSTALLATION_ID",
    "Marks this installation's payments at the provider. Others on the same account are ignored. "
    "Never change it.",
)
PAYMENT_RETURN_URL = _payments.address(
    "PAYMENT_RETURN_URL",
    "Where customers return to the storefront after they have authenticated a payment, such as "
    "https://shop.example/paid. The provider adds its parameters. If it is empty, the storefront "
    "authenticates them with the provider's library.",
    "",
)
PAYMENT_GRACE = timedelta(
    seconds=_payments.number(
        "PAYMENT_GRACE_SECONDS",
        "How long an order keeps its stock while its customer authenticates, or pays otherwise after "
        "a decline. With 0 a declined order is cancelled at once, and so is one that needs authentication.",
        900,
    )
)
MAX_PAYMENTS_PER_ORDER = _payments.number(
    "MAX_PAYMENTS_PER_ORDER", "How often a customer may try to pay for one order.", 5
)
INSTALLED_APPS += PAYMENT_PROVIDERS

_review = Section("Review of orders")
REVIEW_ABOVE_MINOR = _review.number(
    "REVIEW_ABOVE_MINOR",
    "Orders with a larger total, in minor units, wait for an approval by staff before their money is "
    "taken. 0 for none.",
    0,
)
REVIEW_FUNCTION = _review.text(
    "REVIEW_FUNCTION",
    "A function of the shop's own, such as shop.review.is_odd. It gets the order's id, its total in "
    "minor units, its currency, and the quantity of each SKU. It returns why the order is reviewed; empty "
    "if it is not.",
    "",
)
REVIEW_TIME = timedelta(
    hours=_review.number(
        "REVIEW_HOURS", "How long an order waits for the approval.", 24, at_least=1
    )
)
REVIEW_DEFAULT = _review.text(
    "REVIEW_DEFAULT",
    "What happens then: reject (the order is cancelled), approve, or escalate (staff are called, and the "
    "order waits on). Orders that wait already keep what it was when their review began.",
    "reject",
)
_provider_sections = [read_provider_settings(package, globals()) for package in PAYMENT_PROVIDERS]

# --- The storefront API --------------------------------------------------------------------------

_api = Section("Storefront API")
CURRENCY = _api.text(
    "CURRENCY",
    "The currency of all prices: a code of ISO 4217 in lower case that every payment provider "
    "accepts. Do not change it while there are products or open orders: prices are stored without it.",
    "eur",
)
if CURRENCY not in EXPONENTS:
    raise ImproperlyConfigured(
        f"CURRENCY: {CURRENCY!r} is not a currency code of ISO 4217 in lower case, such as eur"
    )
# Returns why a price cannot be charged. A setting, because inventory must not import payments.
PRICE_PROBLEM = "payments.services.price_problem"

STREAMS_PER_PROCESS = max_streams_per_process(_api)
STREAMS_PER_CUSTOMER = max_streams_per_customer(_api)
WAITERS_PER_PROCESS = max_waiters_per_process(_api)
WAITERS_PER_CUSTOMER = max_waiters_per_customer(_api)
THROTTLING = _api.flag("THROTTLING", "Whether the rates below are enforced.", default=True)
THROTTLING_RATES = rates_of_callers(_api)
MAX_OPEN_ORDERS = max_open_orders(_api)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "access.authentication.LinkAuthentication",
        "access.authentication.BearerAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["access.permissions.NeedsScope"],
    "DEFAULT_THROTTLE_CLASSES": ["access.throttling.CallerThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["orders.api.http.json_parser.StrictJSONParser"],
    "EXCEPTION_HANDLER": "orders.api.http.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    # There is only one format, so ``format`` is an unknown query parameter.
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_METADATA_CLASS": "orders.api.http.options.AllowedMethodsOnly",
    "DEFAULT_SCHEMA_CLASS": "orders.api.http.documentation.inspector.StorefrontInspector",
}

SPECTACULAR_SETTINGS = openapi.SETTINGS

REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "AUTO_REFRESH": False,
    # Scanners for published secrets recognise tokens by this prefix.
    "TOKEN_PREFIX": "holdfast_",
}
KNOX_TOKEN_MODEL = "access.ApiToken"  # noqa: S105 - a model
# Knox's migrations create a table for tokens of its own, and depend on our token model. Without them
# neither is needed.
MIGRATION_MODULES = {"knox": None}

# --- Observability ------------------------------------------------------------------------------------

LOGGING_CONFIG = "config.logging.configure"
LOGGING = observability_settings.LOGGING
LOG_LEVEL = observability_settings.LOG_LEVEL
METRICS_ADDRESS = observability_settings.METRICS_ADDRESS
METRICS_PORT = observability_settings.METRICS_PORT
PROMETHEUS_MULTIPROC_DIR = observability_settings.PROMETHEUS_MULTIPROC_DIR
SENTRY_DSN = observability_settings.SENTRY_DSN
SENTRY_ENVIRONMENT = observability_settings.SENTRY_ENVIRONMENT
RELEASE = observability_settings.RELEASE
OTEL_EXPORTER_OTLP_ENDPOINT = observability_settings.OTEL_EXPORTER_OTLP_ENDPOINT

# The sections of docs/configuration.md.
CONFIGURATION = [
    web_settings.SECTION,
    _postgresql,
    celery_settings.SECTION,
    event_settings.SECTION,
    _payments,
    _review,
    *_provider_sections,
    _api,
    desk_settings.SECTION,
    observability_settings.SECTION,
]
