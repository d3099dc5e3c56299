"""Debian's chromium, with the application as it runs in production."""

import os
import shutil
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, sync_playwright

from access.models import ApiToken
from sandbox.stripe_process import SandboxServer
from tests.support.browser_session import PATIENCE_MS, Visitor
from tests.support.http_storefront import HttpStorefront
from tests.support.production_processes import Installation
from tests.support.shop import Shelf
from tests.support.staff_login import new_authenticator, superuser


@pytest.fixture(scope="module")
def chromium(django_db_setup: None) -> Iterator[Browser]:
    """A browser. Without one the tests are skipped, or fail with REQUIRE_BROWSER=1."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail("REQUIRE_BROWSER=1, and there is no chromium on the path")
        pytest.skip("there is no chromium on the path: apt-get install chromium")
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        # Playwright runs an event loop in this thread. The application does not use it.
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        # Chromium's sandbox needs privileges that most containers do not have.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=PATIENCE_MS
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def installation(
    django_db_setup: None, sandbox: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DESK_REQUIRES_MFA", "1")
        running = Installation(sandbox, tmp_path_factory.mktemp("installation"))
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def grace(chromium: Browser, transactional_db: None) -> User:
    return superuser()


@pytest.fixture
def visitor(chromium: Browser, installation: Installation, grace: User) -> Iterator[Visitor]:
    """Grace with a browser, logged out. At the end the browser's console must have no errors."""
    visitor = Visitor(chromium, installation.url, grace, new_authenticator(grace))
    yield visitor
    visitor.close()
    assert visitor.reported_errors == []


@pytest.fixture
def alice(
    installation: Installation, grace: User, shelf: Shelf, sandbox_stripe: SandboxServer
) -> HttpStorefront:
    shelf.put("MUG", 100)
    customer = User.objects.create(username="alice")
    return HttpStorefront(installation.url, str(ApiToken.objects.issue(customer)[1]))
