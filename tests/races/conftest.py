"""A shop to race in."""

import pytest
from django.contrib.auth.models import User

from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.shelf import Shelf
from tests.support.shop import IN_STOCK, Shop


@pytest.fixture
def shop(
    customer: User, shelf: Shelf, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> Shop:
    shelf.put("MUG", IN_STOCK)
    shelf.put("TEE", IN_STOCK, price_minor=2500)
    return Shop(customer, sandbox_stripe, messages)
