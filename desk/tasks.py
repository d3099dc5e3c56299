"""The Celery task that processes bulk actions. The desk and beat queue it."""

from typing import TYPE_CHECKING

from celery import shared_task

from desk.bulk import process_slice

if TYPE_CHECKING:
    from celery import Task


@shared_task(name="desk.process_bulk_actions", bind=True, max_retries=None, ignore_result=True)
def process_bulk_actions(self: "Task[[], None]") -> None:
    """Process bulk actions for two seconds, then queue itself again if orders are left."""
    if process_slice():
        self.retry(countdown=0, throw=False)
