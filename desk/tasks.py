"""Bulk actions in the background: a slice at a time, asked for by the desk and by beat."""

from typing import TYPE_CHECKING

from celery import shared_task

from desk.bulk import carry_for_a_while

if TYPE_CHECKING:
    from celery import Task


@shared_task(name="desk.carry_bulk_actions", bind=True, max_retries=None, ignore_result=True)
def carry_bulk_actions(self: "Task[[], None]") -> None:
    """Carry what waits for a moment, and come back for the rest behind whoever else is queued."""
    if carry_for_a_while():
        self.retry(countdown=0, throw=False)
