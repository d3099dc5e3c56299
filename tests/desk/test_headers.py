"""Security headers: strict on every page, with exceptions only on the desk's pages."""

import pytest
from django.test import Client

from tests.support.fresh_settings import read_settings
from tests.support.staff_login import LOGIN, superuser

pytestmark = pytest.mark.django_db(transaction=True)

EXCEPTIONS = ("unsafe-eval", "unsafe-inline", "sha256-")


def directives(client: Client, path: str) -> dict[str, str]:
    policy = client.get(path).headers["Content-Security-Policy"]
    return {
        name: rest
        for name, _, rest in (directive.partition(" ") for directive in policy.split("; "))
    }


@pytest.mark.parametrize("path", ["/api/v1/orders", "/api/v1/products", "/nowhere"])
def test_other_responses_allow_no_inline_code_and_no_eval(path: str) -> None:
    found = directives(Client(), path)

    assert found["default-src"] == "'none'"
    assert found["script-src"] == found["style-src"] == "'self'"
    assert found["frame-ancestors"] == found["base-uri"] == found["object-src"] == "'none'"
    assert found["form-action"] == "'self'"
    assert not [exception for exception in EXCEPTIONS if exception in str(found)]


@pytest.mark.parametrize("path", ["/admin/", "/admin/orders/order/", LOGIN])
def test_the_desk_allows_no_inline_script(path: str) -> None:
    client = Client()
    if path != LOGIN:
        client.force_login(superuser())

    found = directives(client, path)

    assert found["script-src"] == "'self' 'unsafe-eval'"
    assert "unsafe-inline" not in found["style-src"]
    assert found["frame-ancestors"] == "'none'"


def test_every_response_has_the_other_headers() -> None:
    headers = Client().get(LOGIN).headers

    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


def test_with_https_cookies_are_for_this_host_and_tls_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS", "1")

    found = read_settings()

    assert found["SESSION_COOKIE_NAME"] == "__Host-session"
    assert found["CSRF_COOKIE_NAME"] == "__Host-csrf"
    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is True
    assert found["SESSION_COOKIE_HTTPONLY"] is True
    assert found["SECURE_HSTS_SECONDS"] == 31_536_000
    assert found["SECURE_SSL_REDIRECT"] is True
