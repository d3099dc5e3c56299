"""Worker processes that a test kills."""

from collections.abc import Iterator

import pytest

from sandbox.stripe_process import SandboxServer
from tests.support.worker_processes import WorkerProcesses


@pytest.fixture(scope="module")
def workers(
    django_db_setup: None, sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcesses]:
    pool = WorkerProcesses(sandbox, tmp_path_factory.mktemp("workers") / "log")
    yield pool
    pool.stop()
