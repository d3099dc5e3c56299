"""Every setting, read once from the environment, and loud when it is missing or makes no sense."""

import re
from datetime import timedelta

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

# Lets Django's classes carry their type parameters at run time too.
django_stubs_ext.monkeypatch()

env = environ.Env()

# --- Django --------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "config",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "django_celery_beat",
    "sagas",
    "events",
    "inventory",
    "payments",
    "orders",
    "invariants",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
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

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- PostgreSQL ----------------------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL")}
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

# --- Celery and Redis: a message only says "look at this run" --------------------------------------

REDIS_URL = env.str("REDIS_URL")

CELERY_BROKER_URL = REDIS_URL
# Queues by name, to which Celery publishes on the anonymous exchange: with a topic exchange, a
# flushed Redis would drop messages without an error until the bindings are declared again.
CELERY_TASK_QUEUES = [
    Queue("checkout"),  # reserve, authorize, confirm: what a customer waits for
    Queue("settlement"),  # capture: nobody waits
    Queue("compensation"),  # undoing: never behind a rush of orders
    Queue("sweeps"),  # recovery: never behind anything
]
CELERY_TASK_DEFAULT_QUEUE = "sweeps"
CELERY_TASK_CREATE_MISSING_QUEUES = False
# Acknowledged after the work: a worker that dies leaves its message. The sweep does not rely on it.
CELERY_TASK_ACKS_LATE = True
# On Redis a rejected message has no limit of deliveries: a task that kills its worker would do so
# a dozen times a second. The sweep tries again, counted and backed off.
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_ACKS_ON_FAILURE = True
CELERY_TASK_ACKS_ON_TIMEOUT = True
# The journal has the results.
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
# Ids only, and nothing that could be made to run code.
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# One in flight for each slot: what waits, waits where every worker can take it.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Prefork pools only; threads are bounded by the bank's deadline and PostgreSQL's timeouts.
CELERY_TASK_SOFT_TIME_LIMIT = 45
CELERY_TASK_TIME_LIMIT = 60
# A publish that fails is found by the sweep: there is no point in waiting for it.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.2,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever: a worker that gives up on Redis is a worker that nobody restarts.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Longer than a task may take with its wait, so that a running one is not handed out again.
    "visibility_timeout": 300,
    # Looks for what dead workers left every 5 s, not every 100 s.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # Half-open connections are noticed, not waited on for ever.
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    # Several installations may share a Redis.
    "global_keyprefix": env.str("REDIS_KEY_PREFIX", default="holdfast:"),
}
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"visibility_timeout": 300}
CELERY_VISIBILITY_TIMEOUT = 300
# What is in hand may finish before a stop; must be less than the supervisor's patience.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 15
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
# An eighth of a worker's time goes into events: Flower switches them on while it runs.
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TASK_SEND_SENT_EVENT = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Connections outlive tasks (see config.celery): a new one for each task halves everything.
CELERY_DB_REUSE_MAX = 100_000_000
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# How soon beat sees a schedule that operations changed.
CELERY_BEAT_MAX_LOOP_INTERVAL = 3

# Runs that a process carries at once for messages that name several; each holds a thread, and a
# database connection, through its calls to the bank.
SAGAS_RUNS_AT_ONCE = env.int("SAGAS_RUNS_AT_ONCE", default=96)
if SAGAS_RUNS_AT_ONCE < 1:
    raise ImproperlyConfigured("SAGAS_RUNS_AT_ONCE: at least 1")

# --- Stripe --------------------------------------------------------------------------------------

STRIPE_API_KEY = env.str("STRIPE_API_KEY")
# Empty for Stripe itself.
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="")
# Stripe allows 100 calls a second in live mode and 25 in a sandbox; 0 asks for no limit of ours.
STRIPE_CALLS_PER_SECOND = env.int("STRIPE_CALLS_PER_SECOND", default=80)
# For each process, while Redis cannot count for all of them.
STRIPE_FALLBACK_CALLS_PER_SECOND = env.int("STRIPE_FALLBACK_CALLS_PER_SECOND", default=5)
if STRIPE_CALLS_PER_SECOND < 0 or STRIPE_FALLBACK_CALLS_PER_SECOND < 1:
    raise ImproperlyConfigured("STRIPE_…CALLS_PER_SECOND: not below 0, and the fallback not 0")
# Marks what is ours at the bank: reconciliation touches nothing else.
INSTALLATION_ID = env.str("INSTALLATION_ID")

# --- The storefront API --------------------------------------------------------------------------

CURRENCY = env.str("CURRENCY", default="eur")
if not re.fullmatch(r"[a-z]{3}", CURRENCY):
    raise ImproperlyConfigured("CURRENCY is a code of three lower-case letters")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["orders.api.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["orders.api.parsing.StrictJSONParser"],
    "EXCEPTION_HANDLER": "orders.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
}

REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_TTL": timedelta(days=365),
    "AUTO_REFRESH": False,
}

# --- Logging -------------------------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "config.logging.JSONFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"django.request": {"level": "ERROR"}},
}
