"""A storefront whose orders move only when a test delivers their messages."""

import pytest
from django.contrib.auth.models import User

from tests.support.in_memory_broker import MessageQueue
from tests.support.shelf import Shelf
from tests.support.storefront_client import Storefront


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    shelf.put("MUG", 5)
    return Storefront(customer)
