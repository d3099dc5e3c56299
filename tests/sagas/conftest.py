"""What the engine's tests share: toys that are put away afterwards, and a broker to look at."""

from collections.abc import Iterator

import pytest

from tests.support.celery_queues import Broker
from tests.support.fake_sagas import Toys


@pytest.fixture
def toys() -> Iterator[Toys]:
    toys = Toys()
    yield toys
    toys.forget()


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    broker.clear()
    yield broker
    broker.clear()
    broker.close()
