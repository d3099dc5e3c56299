"""The control page over HTTP: every button works, and pages of other sites cannot use it."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from urllib.parse import urlencode

import pytest
import urllib3

from sandbox.stripe_api.control_page import FAULT_PRESETS, FREQUENCIES
from sandbox.stripe_process import SandboxServer
from tests.support.stripe_http import RawApi

NONE: Mapping[str, str] = MappingProxyType({})
FORM = "application/x-www-form-urlencoded"
FOREIGN_HEADERS = [
    {"Origin": "http://shop.example"},
    {"Origin": "null"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


class Browser:
    """Sends requests as a browser does, and follows no redirect."""

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
def test_the_page_loads_no_foreign_or_inline_code(browser: Browser, path: str) -> None:
    page = browser.get(path)

    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "'unsafe" not in page.headers["Content-Security-Policy"]
    text = page.data.decode()
    assert "No active faults" in text
    addresses = set(re.findall(r'(?:src|href)="([^"]*)"', text))
    assert {address for address in addresses if not address.startswith("/authenticate/pi_")} <= {
        "/control/control.js",
        "/control/control.css",
    }
    assert re.findall(r"<script(?! src)|\son\w+=|style=", text) == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/control/control.css", "text/css"), ("/control/control.js", "text/javascript")],
)
def test_style_and_script_are_served(browser: Browser, path: str, kind: str) -> None:
    response = browser.get(path)

    assert (response.status, response.headers["Content-Type"]) == (200, kind)


@pytest.mark.parametrize("path", ["/control/nowhere", "/control/control.html", "/control/page"])
def test_other_files_are_not_served(browser: Browser, path: str) -> None:
    assert browser.get(path).status == 404


@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("preset", FAULT_PRESETS)
def test_every_button_adds_its_fault_rule(
    browser: Browser, server: SandboxServer, preset: str, frequency: str
) -> None:
    text = browser.get("/control").data.decode()
    assert f'name="preset" value="{preset}"' in text

    response = browser.submit("/control/add", {"preset": preset, "frequency": frequency})

    assert (response.status, response.headers["Location"]) == (303, "/control")
    chosen = FREQUENCIES[frequency][1]
    title, fault = FAULT_PRESETS[preset].title, FAULT_PRESETS[preset].rule["fault"]
    assert rules(server) == [(title, fault, chosen.get("rate", 1.0), chosen.get("times"))]


def test_a_preset_added_twice_is_one_rule_and_the_newest_rule_is_tried_first(
    browser: Browser, server: SandboxServer, api: RawApi
) -> None:
    for preset in ("down", "slow", "declines", "declines"):
        browser.submit("/control/add", {"preset": preset, "frequency": "once"})

    assert [note for note, *_ in rules(server)] == ["Declines", "Slow", "Error 500"]
    browser.submit("/control/clear", {})
    browser.submit("/control/add", {"preset": "down", "frequency": "always"})
    browser.submit("/control/add", {"preset": "refuses-key", "frequency": "once"})
    assert api.post("payment_intents", {"amount": 1000}).status == 401
    assert api.post("payment_intents", {"amount": 1000}).status == 500


def test_active_faults_are_shown_and_can_be_switched_off(
    browser: Browser, server: SandboxServer
) -> None:
    browser.submit("/control/add", {"preset": "slow", "frequency": "once"})
    rule = server.add_fault("*", "decline", note='<b>"for order 7"</b>', match={"amount": "7"})

    text = browser.get("/control/now").data.decode()
    response = browser.submit("/control/remove", {"rule": str(rule)})

    assert "Active faults" in text
    assert "&lt;b&gt;&quot;for order 7&quot;&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "amount is 7" in text
    assert response.status == 303
    assert [note for note, *_ in rules(server)] == ["Slow"]
    assert browser.submit("/control/remove", {"rule": str(rule)}).status == 303
    assert browser.submit("/control/clear", {}).status == 303
    assert rules(server) == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/control/add", {}),
        ("/control/add", {"preset": "slow", "frequency": "never"}),
        ("/control/add", {"preset": "meteorite", "frequency": "once"}),
        ("/control/remove", {"rule": "one"}),
        ("/control/everything", {}),
    ],
)
def test_an_invalid_form_changes_nothing(
    browser: Browser, server: SandboxServer, path: str, fields: dict[str, str]
) -> None:
    assert browser.submit(path, fields).status == 400
    assert rules(server) == []


def test_the_sums_and_statuses_are_those_of_the_ledger(
    own_server: SandboxServer, own_api: RawApi
) -> None:
    own_api.authorized(amount=1001, metadata={"order_id": "<held>"})
    refunded = own_api.captured(amount=2002)
    own_api.post("refunds", {"payment_intent": refunded})
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
        "captured": "60.06 USD",
        "refunded": "20.02 USD",
        "captured less refunded": "40.04 USD",
    }
    states = re.findall(r'class="state \w+">([^<]*)<', text)
    assert states == ["declined", "captured", "refunded", "held"]
    assert "&lt;held&gt;" in text
    browser.close()


@pytest.mark.parametrize(
    ("currency", "units", "shown"),
    [("jpy", 1200, "1,200 JPY"), ("isk", 1200, "12.00 ISK"), ("bhd", 1200, "1.200 BHD")],
)
def test_amounts_have_the_decimals_of_stripes_units(
    own_server: SandboxServer, own_api: RawApi, currency: str, units: int, shown: str
) -> None:
    own_api.captured(amount=units, currency=currency)
    browser = Browser(own_server.url)

    text = browser.get("/control/now").data.decode()

    assert f"<dt>captured</dt><dd>{shown}</dd>" in text
    browser.close()


@pytest.mark.parametrize("headers", FOREIGN_HEADERS)
@pytest.mark.parametrize("path", ["/control/add", "/control/clear", "/_sandbox/faults"])
def test_a_page_of_another_site_cannot_send_a_form(
    browser: Browser, server: SandboxServer, path: str, headers: dict[str, str]
) -> None:
    rule = server.add_fault("*", "latency")
    port = server.url.rpartition(":")[2]
    forged = {name: value.format(port=port) for name, value in headers.items()}

    response = browser.submit(path, {"preset": "down", "frequency": "always"}, forged)

    assert response.status == 403
    assert [active["id"] for active in server.control("GET", "faults")["rules"]] == [rule]


@pytest.mark.parametrize("host", ["shop.example", "127.0.0.1.shop.example:80", "", "localhost.x:1"])
@pytest.mark.parametrize("path", ["/", "/control/now", "/_sandbox/ledger"])
def test_a_foreign_host_name_that_resolves_to_this_machine_reads_nothing(
    browser: Browser, path: str, host: str
) -> None:
    response = browser.get(path, Host=host)

    assert response.status == 403
    assert b"payment" not in response.data


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_pages_and_programs_of_this_machine_are_allowed(server: SandboxServer, name: str) -> None:
    url = f"http://{name}:{server.url.rpartition(':')[2]}"
    browser = Browser(url)

    assert browser.get("/control").status == 200
    assert browser.submit("/control/add", {"preset": "slow", "frequency": "once"}).status == 303
    assert len(rules(server)) == 1
    browser.close()
