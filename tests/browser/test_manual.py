"""The API's manual in a real browser, under the policy of the whole site."""

from urllib.parse import urlsplit

import pytest

from tests.support.browser_session import Visitor

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_manual_shows_every_operation_and_asks_nobody_else(visitor: Visitor) -> None:
    asked: set[str] = set()
    visitor.page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))

    page = visitor.go("/api/docs/")
    page.locator("#operations-Orders-place_order").click()

    page.locator("option", has_text="Two mugs and a T-shirt").wait_for(state="attached")
    assert page.locator(".opblock").count() > 10
    assert asked == {urlsplit(visitor.url).netloc}
