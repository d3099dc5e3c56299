"""A storefront with more stock, for tests that place many orders."""

import pytest
from django.contrib.auth.models import User

from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shelf
from tests.support.storefront_client import Storefront


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    """Alice's storefront. Her orders wait until the test delivers their messages."""
    shelf.put("MUG", 50)
    return Storefront(customer)
