"""Flag orders for attention: their runs wait until staff acts."""

from datetime import timedelta
from uuid import UUID

from django.db.models.functions import Now

from sagas.models import SagaRun, StepAttempt
from tests.support.waits import wait_until

REASON = "authorize_payment: 8 attempts"


def flag(order_id: UUID, reason: str = "8 attempts") -> None:
    """Flag the order's run, which no message is to move meanwhile."""
    runs = SagaRun.objects.filter(subject_id=order_id)
    assert runs.update(needs_attention=True, attention_reason=reason, retry_count=8) == 1


def flag_once_tried(order_id: UUID) -> None:
    """Wait until an attempt of a running worker has failed, then flag the run for ten minutes."""
    runs = SagaRun.objects.filter(subject_id=order_id, leased_until__isnull=True)
    tried = StepAttempt.objects.filter(
        run__subject_id=order_id, outcome__in=("failed", "unknown"), ended_at__isnull=False
    )
    later = Now() + timedelta(minutes=10)
    changes = {"needs_attention": True, "attention_reason": REASON}
    wait_until(tried.exists)
    wait_until(lambda: runs.update(**changes, not_before=later, wake_at=later) == 1)
