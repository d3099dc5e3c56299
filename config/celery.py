"""The Celery app. Its settings, each with its reason, are in ``config.settings``."""

import os
from typing import Any

from celery import Celery
from celery.signals import task_prerun, worker_ready

from config.garbage import settle_in

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


@worker_ready.connect
def take_what_is_loaded_for_permanent(**_: Any) -> None:
    settle_in()
