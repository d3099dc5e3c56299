"""A desk with its staff, and orders that stand where people look at them."""

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
    """None are known: the cache outlives the rows, which are flushed after each test."""
    ContentType.objects.clear_cache()


@pytest.fixture
def grace(content_types: None, settings: Settings) -> User:
    """Who may do everything."""
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
    """An order that is not confirmed yet, and whose run waits for a person; no message is under way."""
    order_id = storefront.order(cart(("TEE", 1))).order_id
    messages.drop_all()
    flag(order_id)
    return order_id


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the desk puts on a queue comes here."""
    found: list[str] = []
    monkeypatch.setattr(bulk_queue, "publish", lambda: found.append("look"))
    return found
