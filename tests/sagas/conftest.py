"""What the engine's tests share: sagas that are unregistered afterwards, and Celery's queues."""

from collections.abc import Iterator

import pytest

from tests.support.celery_queues import CeleryQueues
from tests.support.fake_sagas import FakeSagas


@pytest.fixture
def fakes() -> Iterator[FakeSagas]:
    fakes = FakeSagas()
    yield fakes
    fakes.unregister_all()


@pytest.fixture
def broker() -> Iterator[CeleryQueues]:
    """The session's broker, with empty queues before and after the test."""
    queues = CeleryQueues()
    queues.clear()
    yield queues
    queues.clear()
    queues.close()
