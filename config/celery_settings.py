"""Settings of Celery and its broker. Messages carry only ids of runs."""

from typing import Any

from kombu import Queue

from config.env import Section

SECTION = Section("Celery and Redis")
REDIS_URL = SECTION.address(
    "REDIS_URL", "The broker, and the counters of rate limits.", is_secret=True
)
BROKER_URL = SECTION.address(
    "BROKER_URL",
    "Another broker than that Redis, such as RabbitMQ: amqp://user:password@host/vhost.",
    "",
    is_secret=True,
)

REDIS_KEY_PREFIX = SECTION.text(
    "REDIS_KEY_PREFIX",
    "The prefix of all keys, if several installations share one Redis.",
    "holdfast:",
)
CELERY_BROKER_URL = BROKER_URL or REDIS_URL
# Plain queues on the anonymous exchange. With a topic exchange, a flushed Redis would drop messages
# without an error until the bindings are declared again.
CELERY_TASK_QUEUES = [
    Queue("checkout"),  # all steps until the order is confirmed: a customer waits
    Queue("settlement"),  # capture: no customer waits
    Queue("compensation"),  # compensations: not delayed by a rush of orders
    Queue("sweeps"),  # recovery: not delayed by other work
]
CELERY_TASK_DEFAULT_QUEUE = "sweeps"
CELERY_TASK_CREATE_MISSING_QUEUES = False
# Acknowledged after the work, so that a dead worker's message is redelivered. Without it the sweep
# would find the run a little later.
CELERY_TASK_ACKS_LATE = True
# On Redis a rejected message is redelivered without limit: a task that kills its worker would do so
# a dozen times a second. The sweep retries instead, counted and with back-off.
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_ACKS_ON_FAILURE = True
CELERY_TASK_ACKS_ON_TIMEOUT = True
# The journal stores results.
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
# Otherwise beat would schedule a daily clean-up of results.
CELERY_RESULT_EXPIRES = None
# Messages carry ids only; JSON cannot run code.
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# One message for each slot. All other messages wait on the queue, where any worker can take them.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# For prefork pools only. Threads are bounded by the deadlines of calls and PostgreSQL's timeouts.
CELERY_TASK_SOFT_TIME_LIMIT = 45
CELERY_TASK_TIME_LIMIT = 60
# A publish gives up soon: the sweep finds the run.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.2,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# No limit: perhaps no supervisor restarts a worker that gives up.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
_ON_REDIS: dict[str, Any] = {
    # Longer than a task with its countdown, so that a running task is not delivered again.
    "visibility_timeout": 300,
    # Redelivers messages of dead workers after 5 s instead of 100 s.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # Half-open connections end in an error instead of waiting without end.
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "global_keyprefix": REDIS_KEY_PREFIX,
}
_ON_RABBITMQ: dict[str, Any] = {
    # A message that the broker did not accept raises an error.
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
# How long running tasks may go on after SIGTERM; less than the supervisor's limit.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 15
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
# Threads cannot be cancelled; each try would log a traceback. The task goes on, and its redelivered
# message finds the run leased or done.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
# Events take an eighth of a worker's time. Flower switches them on while it runs.
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TASK_SEND_SENT_EVENT = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Connections outlive tasks (see config.celery): a new one for each task halves throughput.
CELERY_DB_REUSE_MAX = 100_000_000
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# How soon beat sees a changed schedule.
CELERY_BEAT_MAX_LOOP_INTERVAL = 3

SAGAS_RUN_THREADS = SECTION.number(
    "SAGAS_RUN_THREADS",
    "Threads of a worker process for the runs of messages with several ids, for all its queues "
    "together. Each keeps a database connection. A message with one id is processed in the thread "
    "of its task.",
    48,
    at_least=1,
)
