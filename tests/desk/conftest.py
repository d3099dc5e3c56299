"""Fixtures of the desk's tests: a logged-in superuser, and orders in the states that staff act on."""

from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from pytest_django import Settings

from desk import bulk_queue
from sandbox.stripe_process import SandboxServer
from tests.support.flagged_orders import flag
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart


@pytest.fixture
def content_types(transactional_db: None) -> None:
    """Clear the cache of content types: it outlives the rows, which are flushed after each test."""
    ContentType.objects.clear_cache()


@pytest.fixture
def grace(content_types: None, settings: Settings) -> User:
    """A superuser. No second factor is required."""
    settings.DESK_REQUIRES_MFA = False
    return User.objects.create_superuser("grace")


@pytest.fixture
def desk(grace: User) -> Client:
    client = Client()
    client.force_login(grace)
    return client


@pytest.fixture
def confirmed(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> UUID:
    order_id = storefront.order(cart(("MUG", 1))).order_id
    messages.deliver_all()
    return order_id


@pytest.fixture
def waiting(storefront: Storefront, confirmed: UUID, messages: MessageQueue) -> UUID:
    """A placed order whose run is flagged; no message for it is in the queue."""
    order_id = storefront.order(cart(("TEE", 1))).order_id
    messages.drop_all()
    flag(order_id)
    return order_id


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects an entry for each message that the desk publishes, instead of sending it."""
    found: list[str] = []
    monkeypatch.setattr(bulk_queue, "publish", lambda: found.append("look"))
    return found
