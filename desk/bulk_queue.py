"""The only place of the desk that puts a task on a queue. The message says "look", and no more."""

from celery import signature
from django.db import transaction


def ask_for_carrying() -> None:
    """Queue, once this transaction has committed, the task that carries bulk actions.

    A broker that is gone costs the request a moment and loses nothing: beat sends the same message
    every few seconds.
    """
    transaction.on_commit(publish, robust=True)


def publish() -> None:
    """Put the message on the broker."""
    signature("desk.carry_bulk_actions", immutable=True, queue="sweeps").apply_async(retry=False)
