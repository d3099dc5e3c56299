"""A storefront whose orders move only when a test delivers their messages."""

import pytest
from django.contrib.auth.models import User

from tests.conftest import Shelf
from tests.message_queue import MessageQueue
from tests.orders.storefront import Storefront


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    shelf.put("MUG", 5)
    return Storefront(customer)
