"""How much is tried: a little and always the same in ``make test``, a lot by ``make properties``."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from sandbox.stripe_process import SandboxServer
from tests.support.worker_harness import WorkerHarness
from tests.support.worker_threads import wrap_boundaries

# The machine may be busy, and a step may do real work: no example is too slow. The phase that
# explains a failure traces every line that runs, and would take longer than finding it.
PATIENT = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=set(Phase) - {Phase.explain},
)
# What failed before is not tried first: the same commit gives the same run, everywhere.
settings.register_profile("repeatable", PATIENT, derandomize=True, database=None)
# Chance, from the seed that ``make properties`` prints.
settings.register_profile("thorough", PATIENT, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture
def harness(
    transactional_db: None, sandbox_stripe: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkerHarness]:
    """A shop in which nothing happens by itself."""
    wrap_boundaries(monkeypatch)
    harness = WorkerHarness(sandbox_stripe, monkeypatch)
    yield harness
    harness.close()
