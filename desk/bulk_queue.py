"""Queues the task that processes bulk actions. No other code of the desk queues a task."""

from celery import signature
from django.db import transaction


def queue_bulk_actions() -> None:
    """Queue the task when the current transaction commits.

    If the broker is unreachable, the task starts later: beat queues it every few seconds.
    """
    transaction.on_commit(publish, robust=True)


def publish() -> None:
    """Send the message to the broker."""
    signature("desk.process_bulk_actions", immutable=True, queue="sweeps").apply_async(retry=False)
