"""Customers at their storefronts, in front of a shelf with mugs and T-shirts."""

import pytest
from django.contrib.auth.models import User

from orders.api.http import prefer_header
from orders.api.orders import event_stream
from tests.support.in_memory_broker import MessageQueue
from tests.support.shelf import Shelf
from tests.support.storefront_client import Storefront


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    """Alice's; nothing that she starts moves before its messages are delivered."""
    shelf.put("MUG", 5)
    shelf.put("TEE", 5, price_minor=2500)
    return Storefront(customer)


@pytest.fixture
def stranger(transactional_db: None) -> Storefront:
    """Mallory's."""
    return Storefront(User.objects.create(username="mallory"))


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine ten seconds may be too short for what takes a tenth of one elsewhere."""
    monkeypatch.setattr(prefer_header, "MAX_WAIT_SECONDS", 60)
    monkeypatch.setattr(event_stream, "MAX_STREAM_SECONDS", 60)
