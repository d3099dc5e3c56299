"""The Celery app. Its settings, with their reasons, are in ``config.celery_settings``."""

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
    """Close a broken database connection of the thread before each task.

    Connections outlive tasks (CELERY_DB_REUSE_MAX). Without this, a connection that a database
    restart has cut would fail every later task of its thread.
    """
    from django.db import close_old_connections  # noqa: PLC0415 - Django is not set up at import time

    close_old_connections()


@task_prerun.connect
def bind_task(task: Any, task_id: str, **_: Any) -> None:
    """Add task, queue and worker to every log line of this thread."""
    bind_contextvars(
        task=task.name,
        task_id=task_id,
        queue=(task.request.delivery_info or {}).get("routing_key"),
        worker=task.request.hostname,
    )


@task_postrun.connect
def unbind_task(**_: Any) -> None:
    """Remove these fields again."""
    clear_contextvars()


@setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """Stop Celery from adding handlers: Django has configured logging."""


@celeryd_init.connect
def log_startup_as_json(instance: Any, **_: Any) -> None:
    """Print no banner, and log as JSON before Celery has set up Django."""
    instance.quiet = True
    configure(settings.LOGGING)
