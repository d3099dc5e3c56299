"""Callers of each kind, and a stock of mugs."""

import pytest
from django.contrib.auth.models import User

from access.credentials import Scope
from tests.support.in_memory_broker import MessageQueue
from tests.support.shelf import Shelf
from tests.support.storefront_client import Storefront


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    """Alice's storefront. Her orders wait until the test delivers their messages."""
    shelf.put("MUG", 50)
    return Storefront(customer)


@pytest.fixture
def stranger(transactional_db: None) -> Storefront:
    """Mallory's storefront."""
    return Storefront(User.objects.create(username="mallory"))


@pytest.fixture
def shop_server(transactional_db: None) -> Storefront:
    """The shop's own server, with the scope ``shop``."""
    return Storefront(User.objects.create(username="web-shop"), scopes=list(Scope))
