"""Callers of every kind, in front of a shelf with mugs."""

import pytest
from django.contrib.auth.models import User

from access.credentials import Scope
from tests.support.in_memory_broker import MessageQueue
from tests.support.shelf import Shelf
from tests.support.storefront_client import Storefront


@pytest.fixture
def storefront(customer: User, shelf: Shelf, messages: MessageQueue) -> Storefront:
    """Alice's; nothing that she starts moves before its messages are delivered."""
    shelf.put("MUG", 50)
    return Storefront(customer)


@pytest.fixture
def stranger(transactional_db: None) -> Storefront:
    """Mallory's."""
    return Storefront(User.objects.create(username="mallory"))


@pytest.fixture
def shop_server(transactional_db: None) -> Storefront:
    """The shop's own server, which acts for every customer."""
    return Storefront(User.objects.create(username="web-shop"), scopes=list(Scope))
