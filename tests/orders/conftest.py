"""Storefronts of two customers, and a stock of mugs and T-shirts."""

import pytest
from django.contrib.auth.models import User

from orders.api.http import prefer_header
from orders.api.orders import event_stream
from tests.support.in_memory_broker import MessageQueue
from tests.support.shelf import Shelf
from tests.support.storefront_client import Storefront


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    """Alice's storefront. Her orders wait until the test delivers their messages."""
    shelf.put("MUG", 5)
    shelf.put("TEE", 5, price_minor=2500)
    return Storefront(customer)


@pytest.fixture
def stranger(transactional_db: None) -> Storefront:
    """Mallory's storefront."""
    return Storefront(User.objects.create(username="mallory"))


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the limits of waits and streams for busy machines."""
    monkeypatch.setattr(prefer_header, "MAX_WAIT_SECONDS", 60)
    monkeypatch.setattr(event_stream, "MAX_STREAM_SECONDS", 60)
