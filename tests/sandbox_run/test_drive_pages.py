"""The drive reads all pages of a list."""

import pytest
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer

from access.models import ApiToken
from sandbox.drive.deadlines import StopSignal
from sandbox.drive.shop import Shop, ShopProduct
from tests.support.shop import Shelf


@pytest.mark.usefixtures("disconnected_threads")
def test_every_product_is_read(live_server: LiveServer, customer: User, shelf: Shelf) -> None:
    for number in range(101):
        shelf.put(f"BOOK-{number}", 3, price_minor=1000)
    shop = Shop(live_server.url, ApiToken.objects.issue(customer)[1], StopSignal())

    found = shop.products()

    assert found == {f"BOOK-{number}": ShopProduct(1000, 3) for number in range(101)}
