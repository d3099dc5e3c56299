"""Every setting, read once from the environment, and loud when it is missing or makes no sense."""

import re
from datetime import timedelta
from pathlib import Path

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from config import celery_settings, headers, observability_settings, openapi
from config.celery_settings import *  # noqa: F403 - all that it names are settings
from config.env import Section
from config.provider_settings import read_provider_settings
from config.throttle_settings import (
    most_open_orders,
    rates_of_callers,
    streams_per_customer,
    streams_per_process,
    waiters_per_customer,
    waiters_per_process,
)

# Lets Django's classes carry their type parameters at run time too.
django_stubs_ext.monkeypatch()

# --- Django --------------------------------------------------------------------------------------

_web = Section("Web")
DEBUG = _web.flag(
    "DEBUG", "Shows errors with their code. Never where others can reach it.", default=False
)
SECRET_KEY = _web.text("SECRET_KEY", "Signs sessions and guests' links.", is_secret=True)
SECRET_KEY_FALLBACKS = _web.words(
    "SECRET_KEY_FALLBACKS", "Former keys: what they signed is still taken.", []
)
ALLOWED_HOSTS = _web.words(
    "ALLOWED_HOSTS", "The names under which the shop is reached.", ["localhost", "127.0.0.1"]
)
CSRF_TRUSTED_ORIGINS = _web.words(
    "CSRF_TRUSTED_ORIGINS",
    "Where the desk's forms may come from, such as https://desk.example.",
    [],
)

HTTPS = _web.flag(
    "HTTPS",
    "Everything goes over TLS: cookies are for it alone, HTTP is sent there, browsers remember it. "
    "0 on a laptop.",
    default=True,
)
PROXIES = _web.number(
    "PROXIES",
    "How many proxies stand in front. The last one adds to X-Forwarded-For, and all of them drop "
    "an X-Forwarded-Proto that came from outside; with 0 neither header is believed.",
    1,
)
CLIENT_TIMEOUT_SECONDS = _web.number(
    "CLIENT_TIMEOUT_SECONDS",
    "How long a client may be silent in the middle of a request, or leave an answer unread, before "
    "its connection is closed, which takes up to two seconds more. It is no bound for others: as "
    "many such clients as web has threads keep everybody else waiting that long, and twice as many "
    "twice as long. Less than web's 12 seconds to stop.",
    10,
    at_least=1,
)

INSTALLED_APPS = [
    "config",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
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
    "sagas",
    "events",
    "access",
    "inventory",
    "payments",
    "orders",
    "invariants",
    "monitoring",
    "desk",
]

MIDDLEWARE = [
    "monitoring.health.HealthMiddleware",
    "monitoring.requests.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.headers.permissions_policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "orders.api.http.cache_control.NoStoreMiddleware",
    "orders.api.http.body_limits.BodyLimitMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "desk.sessions.SessionLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
CSRF_FAILURE_VIEW = "orders.api.http.error_pages.csrf_failure"
# Where a login leads that was on the way nowhere else.
LOGIN_REDIRECT_URL = "admin:index"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
# Static files are served from the packages themselves: one process, no collectstatic to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # The desk's pages win over those that they replace.
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

# The first makes new hashes; the other reads those from before, which are made anew at a login.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- What browsers are told, and what they may keep -------------------------------------------------

CONTENT_SECURITY_POLICY = headers.CONTENT_SECURITY_POLICY
SECURE_SSL_REDIRECT = HTTPS
# Whoever asks whether a process lives asks it directly.
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PROXIES else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# A browser takes __Host- cookies over TLS alone, from this very host, and for all of it.
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# desk.sessions ends them earlier.
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True

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
    # A connection that a database restart has cut is replaced instead of failing its next user.
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        **DATABASES["default"].get("OPTIONS", {}),
        "connect_timeout": 5,
        # Planning costs PostgreSQL about 1 ms an order; prepared statements are planned once.
        "server_side_binding": True,
        "prepare_threshold": 2,
        # Threads have no time limits of Celery's: the database ends what hangs.
        "options": "-c statement_timeout=10s -c lock_timeout=3s -c idle_in_transaction_session_timeout=15s",
    },
}

# --- Payments ------------------------------------------------------------------------------------

_payments = Section("Payments")
PAYMENT_PROVIDERS = _payments.words(
    "PAYMENT_PROVIDERS",
    "The packages of the payment providers. Each order goes to the first that accepts its payment "
    "method. One that has payments must stay.",
    ["payments.providers.stripe"],
)
INSTALLATION_ID = _payments.text(
    "INSTALLATION_ID",
    "Marks what is ours at the provider: reconciliation touches nothing else. Never change it.",
)
INSTALLED_APPS += PAYMENT_PROVIDERS
_provider_sections = [read_provider_settings(package, globals()) for package in PAYMENT_PROVIDERS]

# --- The storefront API --------------------------------------------------------------------------

_api = Section("Storefront API")
CURRENCY = _api.text("CURRENCY", "Of all prices: a code of three lower-case letters.", "eur")
if not re.fullmatch(r"[a-z]{3}", CURRENCY):
    raise ImproperlyConfigured("CURRENCY is a code of three lower-case letters")

STREAMS_PER_PROCESS = streams_per_process(_api)
STREAMS_PER_CUSTOMER = streams_per_customer(_api)
WAITERS_PER_PROCESS = waiters_per_process(_api)
WAITERS_PER_CUSTOMER = waiters_per_customer(_api)
THROTTLING = _api.flag("THROTTLING", "Whether callers are held to the rates below.", default=True)
THROTTLING_RATES = rates_of_callers(_api)
MOST_OPEN_ORDERS = most_open_orders(_api)

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
    # There is one format; a query parameter of this name is an unknown one like any other.
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_METADATA_CLASS": "orders.api.http.options.AllowedMethodsOnly",
    "DEFAULT_SCHEMA_CLASS": "orders.api.http.documentation.inspector.StorefrontInspector",
}

SPECTACULAR_SETTINGS = openapi.SETTINGS

REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "AUTO_REFRESH": False,
    # By this a token that was published by mistake is found.
    "TOKEN_PREFIX": "holdfast_",
}
KNOX_TOKEN_MODEL = "access.ApiToken"  # noqa: S105 - a model
# Knox's own migrations make the table of its own tokens, and demand that ours came before them,
# which nobody who has run them can put right any more.
MIGRATION_MODULES = {"knox": None}

# --- The operations desk ---------------------------------------------------------------------------

_desk = Section("Operations desk")
DESK_REQUIRES_MFA = _desk.flag(
    "DESK_REQUIRES_MFA",
    "Staff show a second factor before they see anything. 0 on a laptop.",
    default=True,
)
FLOWER_URL = _desk.address("FLOWER_URL", "Where the link to Flower leads; empty for none.", "")

OTP_TOTP_ISSUER = "Holdfast"

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# Five wrong passwords or codes for one name from one address, and that pair waits for a quarter of
# an hour: the owner of the name can still come in from elsewhere. What else is counted, desk.login_throttle
# says.
AXES_HANDLER = "desk.login_throttle.LoginLimiter"
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# A password that was right forgives no wrong codes: desk.second_factor resets when both were.
AXES_RESET_ON_SUCCESS = False
AXES_CLIENT_IP_CALLABLE = "access.client_ip.subscriber_address"
AXES_LOCKOUT_TEMPLATE = "desk/locked_out.html"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

UNFOLD = {
    "SITE_TITLE": "Holdfast",
    "SITE_HEADER": "Holdfast",
    "SITE_SUBHEADER": "Operations desk",
    "SITE_SYMBOL": "anchor",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "desk.navigation.icon"}],
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": ["desk.navigation.style_sheet"],
    "SIDEBAR": {"show_search": False, "navigation": "desk.navigation.sidebar"},
}

# --- Watching ------------------------------------------------------------------------------------

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

# What docs/configuration.md is made of.
CONFIGURATION = [
    _web,
    _postgresql,
    celery_settings.SECTION,
    _payments,
    *_provider_sections,
    _api,
    _desk,
    observability_settings.SECTION,
]
