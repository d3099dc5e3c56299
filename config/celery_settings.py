"""Settings of Celery and its broker. A message only says "look at this run"."""

from typing import Any

from kombu import Queue

from config.env import Section

SECTION = Section("Celery and Redis")
REDIS_URL = SECTION.address("REDIS_URL", "Broker, and counter of rate limits.", is_secret=True)
BROKER_URL = SECTION.address(
    "BROKER_URL",
    "The broker, where it is not that Redis: for RabbitMQ amqp://user:password@host/vhost.",
    "",
    is_secret=True,
)

REDIS_KEY_PREFIX = SECTION.text(
    "REDIS_KEY_PREFIX", "Keeps several installations on one Redis apart.", "holdfast:"
)
CELERY_BROKER_URL = BROKER_URL or REDIS_URL
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
# Without this, beat would clean them up daily all the same.
CELERY_RESULT_EXPIRES = None
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
_ON_REDIS: dict[str, Any] = {
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
    "global_keyprefix": REDIS_KEY_PREFIX,
}
_ON_RABBITMQ: dict[str, Any] = {
    # A message that the broker did not take is an error here, not a silence.
    "confirm_publish": True,
    "connect_timeout": 5,
    "read_timeout": 30,
    "write_timeout": 5,
}
CELERY_BROKER_TRANSPORT_OPTIONS = (
    _ON_RABBITMQ if CELERY_BROKER_URL.startswith("amqp") else _ON_REDIS
)
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"visibility_timeout": 300}
CELERY_VISIBILITY_TIMEOUT = 300
# What is in hand may finish before a stop; must be less than the supervisor's patience.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 15
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
# Threads cannot be cancelled: to try costs a traceback for each. What is in hand goes on, and its
# message, which comes again, finds the run leased or done.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
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

SAGAS_RUNS_AT_ONCE = SECTION.number(
    "SAGAS_RUNS_AT_ONCE",
    "Runs that a process carries at once for messages that name several; each holds a thread, and "
    "a database connection, through its calls to the bank.",
    96,
    at_least=1,
)
