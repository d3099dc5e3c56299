"""The page on which a customer authenticates: two buttons, and the way back to the shop."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.stripe_process import SandboxServer
from tests.sandbox.test_control_page import FOREIGN_HEADERS, Browser
from tests.support.stripe_http import RawApi

CARD = "pm_card_authenticationRequired"
RETURN_URL = "https://shop.example:8443/paid?basket=7#top"


@pytest.fixture
def browser(server: SandboxServer) -> Iterator[Browser]:
    browser = Browser(server.url)
    yield browser
    browser.close()


def waiting(api: RawApi, **parameters: Any) -> str:
    return api.new_intent(payment_method=CARD, confirm=True, **parameters)


def status_of(api: RawApi, intent: str) -> str:
    return str(api.get(f"payment_intents/{intent}").body["status"])


def test_the_page_shows_the_payment_and_two_buttons(api: RawApi, browser: Browser) -> None:
    intent = waiting(api, metadata={"order_id": "<order 7>"}, return_url=RETURN_URL)

    page = browser.get(f"/authenticate/{intent}")

    text = page.data.decode()
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "10.00 USD" in text
    assert "visa 3184" in text
    assert "&lt;order 7&gt;" in text
    assert re.findall(r'name="result" value="(\w+)"', text) == ["complete", "fail"]
    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) == {"/control/control.css"}
    assert re.findall(r"<script|\son\w+=|style=", text) == []


def test_a_browser_may_follow_the_form_to_the_shop_only(api: RawApi, browser: Browser) -> None:
    policies = [
        browser.get(f"/authenticate/{intent}").headers["Content-Security-Policy"]
        for intent in (waiting(api), waiting(api, return_url=RETURN_URL))
    ]

    found = [re.findall(r"form-action ([^;]*);", policy) for policy in policies]
    assert found == [["'self'"], ["'self' https://shop.example:8443"]]


@pytest.mark.parametrize(
    ("result", "status", "redirect_status"),
    [
        ("complete", "requires_capture", "succeeded"),
        ("fail", "requires_payment_method", "failed"),
    ],
)
def test_a_button_ends_the_authentication_and_returns_to_the_shop(
    api: RawApi, browser: Browser, result: str, status: str, redirect_status: str
) -> None:
    intent = waiting(api, return_url=RETURN_URL)

    response = browser.submit(f"/authenticate/{intent}", {"result": result})

    assert response.status == 303
    target = urlsplit(response.headers["Location"])
    body = api.get(f"payment_intents/{intent}").body
    assert f"{target.scheme}://{target.netloc}{target.path}" == "https://shop.example:8443/paid"
    assert target.fragment == "top"
    assert parse_qs(target.query) == {
        "basket": ["7"],
        "payment_intent": [intent],
        "payment_intent_client_secret": [body["client_secret"]],
        "redirect_status": [redirect_status],
    }
    assert body["status"] == status


def test_a_decline_after_the_authentication_returns_as_failed(
    api: RawApi, browser: Browser
) -> None:
    intent = api.new_intent(
        payment_method="pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        confirm=True,
        return_url="https://shop.example/paid",
    )

    response = browser.submit(f"/authenticate/{intent}", {"result": "complete"})

    target = urlsplit(response.headers["Location"])
    assert parse_qs(target.query)["redirect_status"] == ["failed"]


def test_without_a_return_url_the_page_shows_the_result(api: RawApi, browser: Browser) -> None:
    intent = waiting(api)

    response = browser.submit(f"/authenticate/{intent}", {"result": "complete"})

    assert (response.status, response.headers["Location"]) == (303, f"/authenticate/{intent}")
    text = browser.get(f"/authenticate/{intent}").data.decode()
    assert "does not wait for authentication" in text
    assert "<dd>held</dd>" in text
    assert "<button" not in text


def test_a_button_pressed_twice_takes_effect_once(
    api: RawApi, browser: Browser, server: SandboxServer
) -> None:
    intent = waiting(api)

    pressed = [browser.submit(f"/authenticate/{intent}", {"result": "complete"}) for _ in range(2)]

    assert [response.status for response in pressed] == [303, 409]
    charges = server.ledger()["charges"]
    assert len([charge for charge in charges if charge["payment_intent"] == intent]) == 1


def test_an_invalid_form_or_address_changes_nothing(api: RawApi, browser: Browser) -> None:
    intent = waiting(api)

    for fields in ({}, {"result": "maybe"}, {"answer": "complete"}):
        assert browser.submit(f"/authenticate/{intent}", fields).status == 400
    assert browser.submit("/authenticate/pi_unknown", {"result": "complete"}).status == 404
    assert browser.get("/authenticate/pi_unknown").status == 404
    assert browser.get("/authenticate/").status == 404
    assert status_of(api, intent) == "requires_action"


@pytest.mark.parametrize("headers", FOREIGN_HEADERS)
def test_a_page_of_another_site_cannot_press_a_button(
    api: RawApi, browser: Browser, server: SandboxServer, headers: dict[str, str]
) -> None:
    intent = waiting(api)
    port = server.url.rpartition(":")[2]
    forged = {name: value.format(port=port) for name, value in headers.items()}

    for path in (f"/authenticate/{intent}", f"/_sandbox/authentications/{intent}"):
        assert browser.submit(path, {"result": "complete"}, forged).status == 403

    assert status_of(api, intent) == "requires_action"


def test_the_control_page_links_only_to_waiting_payments(api: RawApi, browser: Browser) -> None:
    finished, intent = waiting(api), waiting(api)
    browser.submit(f"/authenticate/{finished}", {"result": "complete"})

    text = browser.get("/control").data.decode()

    assert f'href="/authenticate/{intent}"' in text
    assert f'href="/authenticate/{finished}"' not in text
    assert "waits for the customer" in text
