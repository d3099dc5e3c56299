"""The Celery app. Its settings, each with its reason, are in ``config.settings``."""

import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging, task_postrun, task_prerun
from django.conf import settings
from structlog.contextvars import bind_contextvars, clear_contextvars

from config.logging import configure

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("holdfast")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@task_prerun.connect
def drop_broken_connections(**_: Any) -> None:
    """Look at the thread's database connection before each task.

    Connections outlive tasks (CELERY_DB_REUSE_MAX); without this, those that a database restart
    has cut would fail every task that follows.
    """
    from django.db import close_old_connections  # noqa: PLC0415 - not before Django is set up

    close_old_connections()


@task_prerun.connect
def name_the_task(task: Any, task_id: str, **_: Any) -> None:
    """Have every line of this thread say which message it works on, and who works."""
    bind_contextvars(
        task=task.name,
        task_id=task_id,
        queue=(task.request.delivery_info or {}).get("routing_key"),
        worker=task.request.hostname,
    )


@task_postrun.connect
def forget_the_task(**_: Any) -> None:
    clear_contextvars()


@setup_logging.connect
def leave_logging_alone(**_: Any) -> None:
    """Django has configured it: with a receiver here Celery adds no handlers of its own."""


@celeryd_init.connect
def say_everything_in_lines(instance: Any, **_: Any) -> None:
    """Print no banner, and have what Celery says before it has set Django up be lines, too."""
    instance.quiet = True
    configure(settings.LOGGING)
