"""A shop whose invariants are checked."""

from uuid import uuid4

import pytest
from pytest_django import Settings

from tests.support.shop import Shop


@pytest.fixture
def own_installation(settings: Settings) -> None:
    """A new installation id: the sandbox outlives the database and still has payments of earlier tests."""
    settings.INSTALLATION_ID = uuid4().hex


@pytest.fixture
def shop(own_installation: None, shop: Shop) -> Shop:
    return shop
