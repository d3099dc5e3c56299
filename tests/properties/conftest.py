"""Hypothesis profiles: few, fixed histories in ``make test``, many random in ``make properties``."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from sandbox.stripe_process import SandboxServer
from tests.support.worker_harness import WorkerHarness
from tests.support.worker_threads import wrap_boundaries

# The machine may be busy and a step does real work, so no example is too slow. Without the phase
# "explain": it traces every line that runs, and takes longer than finding the failure.
PATIENT = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=set(Phase) - {Phase.explain},
)
# Without a database of earlier failures, the same commit gives the same histories everywhere.
settings.register_profile("repeatable", PATIENT, derandomize=True, database=None)
# Random, from the seed that ``make properties`` prints.
settings.register_profile("thorough", PATIENT, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture
def harness(
    transactional_db: None, sandbox_stripe: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkerHarness]:
    """Yield a shop whose workers and messages move only when the test says so."""
    wrap_boundaries(monkeypatch)
    harness = WorkerHarness(sandbox_stripe, monkeypatch)
    yield harness
    harness.close()
