"""The bank's page for people, by HTTP: what it offers works, and no stranger's page can use it."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from urllib.parse import urlencode

import pytest
import urllib3

from sandbox.stripe_api.control_page import HOW_OFTEN, TROUBLES
from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import RawApi

NONE: Mapping[str, str] = MappingProxyType({})
FORM = "application/x-www-form-urlencoded"
STRANGERS = [
    {"Origin": "http://shop.example"},
    {"Origin": "null"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


class Browser:
    """Sends what a browser would, and follows no redirect."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = urllib3.PoolManager(retries=False, timeout=60)

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return self._http.request("GET", f"{self.url}{path}", headers=headers)

    def submit(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] = NONE
    ) -> urllib3.BaseHTTPResponse:
        sent = {"Content-Type": FORM, "Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        return self._http.request(
            "POST", f"{self.url}{path}", headers={**sent, **headers}, body=urlencode(fields)
        )

    def close(self) -> None:
        self._http.clear()


@pytest.fixture
def browser(server: SandboxServer) -> Iterator[Browser]:
    browser = Browser(server.url)
    yield browser
    browser.close()


def rules(server: SandboxServer) -> list[tuple[str, str, float, int | None]]:
    found = server.control("GET", "faults")["rules"]
    return [(rule["note"], rule["fault"], rule["rate"], rule["times"]) for rule in found]


@pytest.mark.parametrize("path", ["/", "/control", "/control/now"])
def test_the_page_is_there_and_runs_no_foreign_or_inline_code(browser: Browser, path: str) -> None:
    page = browser.get(path)

    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "'unsafe" not in page.headers["Content-Security-Policy"]
    text = page.data.decode()
    assert "All is well: nothing goes wrong on purpose" in text
    assert set(re.findall(r'(?:src|href)="([^"]*)"', text)) <= {
        "/control/control.js",
        "/control/control.css",
    }
    assert re.findall(r"<script(?! src)|\son\w+=|style=", text) == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/control/control.css", "text/css"), ("/control/control.js", "text/javascript")],
)
def test_what_the_page_needs_comes_from_here(browser: Browser, path: str, kind: str) -> None:
    answer = browser.get(path)

    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)


@pytest.mark.parametrize("path", ["/control/nowhere", "/control/control.html", "/control/page"])
def test_nothing_else_is_served(browser: Browser, path: str) -> None:
    assert browser.get(path).status == 404


@pytest.mark.parametrize("often", HOW_OFTEN)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_button_of_the_menu_puts_its_rule_in_force(
    browser: Browser, server: SandboxServer, trouble: str, often: str
) -> None:
    text = browser.get("/control").data.decode()
    assert f'name="trouble" value="{trouble}"' in text

    answer = browser.submit("/control/add", {"trouble": trouble, "often": often})

    assert (answer.status, answer.headers["Location"]) == (303, "/control")
    chosen = HOW_OFTEN[often][1]
    title, fault = TROUBLES[trouble].title, TROUBLES[trouble].rule["fault"]
    assert rules(server) == [(title, fault, chosen.get("rate", 1.0), chosen.get("times"))]


def test_a_button_pressed_twice_is_one_rule_and_the_newest_strikes_first(
    browser: Browser, server: SandboxServer, api: RawApi
) -> None:
    for trouble in ("down", "slow", "declines", "declines"):
        browser.submit("/control/add", {"trouble": trouble, "often": "once"})

    assert [note for note, *_ in rules(server)] == ["Declines", "Slow", "Error 500"]
    browser.submit("/control/clear", {})
    browser.submit("/control/add", {"trouble": "down", "often": "always"})
    browser.submit("/control/add", {"trouble": "refuses-key", "often": "once"})
    assert api.post("payment_intents", {"amount": 1000}).status == 401
    assert api.post("payment_intents", {"amount": 1000}).status == 500


def test_what_goes_wrong_is_shown_and_can_be_switched_off(
    browser: Browser, server: SandboxServer
) -> None:
    browser.submit("/control/add", {"trouble": "slow", "often": "once"})
    rule = server.add_fault("*", "decline", note='<b>"for order 7"</b>', match={"amount": "7"})

    text = browser.get("/control/now").data.decode()
    answer = browser.submit("/control/remove", {"rule": str(rule)})

    assert "Going wrong now" in text
    assert "&lt;b&gt;&quot;for order 7&quot;&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "amount is 7" in text
    assert answer.status == 303
    assert [note for note, *_ in rules(server)] == ["Slow"]
    assert browser.submit("/control/remove", {"rule": str(rule)}).status == 303
    assert browser.submit("/control/clear", {}).status == 303
    assert rules(server) == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/control/add", {}),
        ("/control/add", {"trouble": "slow", "often": "never"}),
        ("/control/add", {"trouble": "meteorite", "often": "once"}),
        ("/control/remove", {"rule": "one"}),
        ("/control/everything", {}),
    ],
)
def test_a_form_that_makes_no_sense_changes_nothing(
    browser: Browser, server: SandboxServer, path: str, fields: dict[str, str]
) -> None:
    assert browser.submit(path, fields).status == 400
    assert rules(server) == []


def test_its_books_are_those_of_the_ledger(own_server: SandboxServer, own_api: RawApi) -> None:
    own_api.authorized(amount=1001, metadata={"order_id": "<held>"})
    taken = own_api.captured(amount=2002)
    own_api.post("refunds", {"payment_intent": taken})
    own_api.captured(amount=4004)
    own_api.post(
        "payment_intents",
        {"amount": 900, "currency": "usd", "payment_method": "pm_card_chargeDeclined"}
        | {"confirm": True},
    )
    browser = Browser(own_server.url)

    text = browser.get("/control/now").data.decode()

    sums = dict(re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", text))
    assert sums == {
        "payments": "4",
        "held": "10.01 USD",
        "taken": "60.06 USD",
        "returned": "20.02 USD",
        "with the shop": "40.04 USD",
    }
    states = re.findall(r'class="state \w+">([^<]*)<', text)
    assert states == ["declined", "taken", "returned", "held"]
    assert "&lt;held&gt;" in text
    browser.close()


@pytest.mark.parametrize("headers", STRANGERS)
@pytest.mark.parametrize("path", ["/control/add", "/control/clear", "/_sandbox/faults"])
def test_a_page_from_elsewhere_cannot_send_anything(
    browser: Browser, server: SandboxServer, path: str, headers: dict[str, str]
) -> None:
    rule = server.add_fault("*", "latency")
    port = server.url.rpartition(":")[2]
    forged = {name: value.format(port=port) for name, value in headers.items()}

    answer = browser.submit(path, {"trouble": "down", "often": "always"}, forged)

    assert answer.status == 403
    assert [each["id"] for each in server.control("GET", "faults")["rules"]] == [rule]


@pytest.mark.parametrize("host", ["shop.example", "127.0.0.1.shop.example:80", "", "localhost.x:1"])
@pytest.mark.parametrize("path", ["/", "/control/now", "/_sandbox/ledger"])
def test_a_name_that_was_made_to_lead_here_reads_nothing(
    browser: Browser, path: str, host: str
) -> None:
    answer = browser.get(path, Host=host)

    assert answer.status == 403
    assert b"payment" not in answer.data


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_this_machines_own_pages_and_programs_are_let_in(server: SandboxServer, name: str) -> None:
    url = f"http://{name}:{server.url.rpartition(':')[2]}"
    browser = Browser(url)

    assert browser.get("/control").status == 200
    assert browser.submit("/control/add", {"trouble": "slow", "often": "once"}).status == 303
    assert len(rules(server)) == 1
    browser.close()
