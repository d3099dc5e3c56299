"""The API's manual in a real browser, under the site's content security policy."""

from urllib.parse import urlsplit

import pytest

from tests.support.browser_session import Visitor

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_manual_shows_every_operation_and_loads_nothing_from_other_hosts(
    visitor: Visitor,
) -> None:
    hosts: set[str] = set()
    visitor.page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))

    page = visitor.go("/api/docs/")
    page.locator("#operations-Orders-place_order").click()

    page.locator("option", has_text="Two mugs and a T-shirt").wait_for(state="attached")
    assert page.locator(".opblock").count() > 10
    assert hosts == {urlsplit(visitor.url).netloc}
