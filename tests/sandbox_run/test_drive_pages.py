"""The drive reads lists to their end, however many pages they have."""

import pytest
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer

from access.models import ApiToken
from sandbox.drive.deadlines import Patience
from sandbox.drive.shop import Product, Shop
from tests.support.shop import Shelf


@pytest.mark.usefixtures("disconnected_threads")
def test_everything_that_is_for_sale_is_read(
    live_server: LiveServer, customer: User, shelf: Shelf
) -> None:
    for number in range(101):
        shelf.put(f"BOOK-{number}", 3, price_minor=1000)
    shop = Shop(live_server.url, ApiToken.objects.issue(customer)[1], Patience())

    found = shop.products()

    assert found == {f"BOOK-{number}": Product(1000, 3) for number in range(101)}
