"""Orders that wait for a person while somebody looks at them."""

from datetime import timedelta
from uuid import UUID

from django.db.models.functions import Now

from sagas.models import SagaRun, StepAttempt
from tests.support.waits import wait_until

REASON = "authorize_payment: 8 attempts"


def flag_once_tried(order_id: UUID) -> None:
    """Wait for an attempt that came to nothing, and flag the run; only a person moves it then."""
    runs = SagaRun.objects.filter(subject_id=order_id, leased_until__isnull=True)
    tried = StepAttempt.objects.filter(
        run__subject_id=order_id, outcome__in=("failed", "unknown"), ended_at__isnull=False
    )
    later = Now() + timedelta(minutes=10)
    marks = {"needs_attention": True, "attention_reason": REASON}
    wait_until(tried.exists)
    wait_until(lambda: runs.update(**marks, not_before=later, wake_at=later) == 1)
