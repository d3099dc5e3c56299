"""A shop whose invariants are checked."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.shelf import Shelf
from tests.support.shop import IN_STOCK, Shop


@pytest.fixture
def own_installation(settings: Settings) -> None:
    """A new installation id: the sandbox outlives the database and still has payments of earlier tests."""
    settings.INSTALLATION_ID = uuid4().hex


@pytest.fixture
def shop(
    own_installation: None,
    customer: User,
    shelf: Shelf,
    sandbox_stripe: SandboxServer,
    messages: MessageQueue,
) -> Shop:
    shelf.put("MUG", IN_STOCK)
    shelf.put("TEE", IN_STOCK, price_minor=2500)
    return Shop(customer, sandbox_stripe, messages)
