"""Requests to the sandbox's Stripe in plain HTTP, for tests of the sandbox itself.

Every response is compared with the types of the official library.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import urllib3

from tests.support.stripe_types import problems_in

TEST_KEY = "sk_test_sandbox"


class StripeResponse(NamedTuple):
    """One response, with shortcuts to the parts that tests compare."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.text)
        return body

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.body["data"]]


class RawApi:
    """Sends requests as the official library does: forms, a key, nested parameters."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(maxsize=32, retries=False, timeout=60)

    def close(self) -> None:
        self._http.clear()

    def post(
        self,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> StripeResponse:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        keyed = {} if key is None else {"Idempotency-Key": key}
        body = urlencode(list(_flat(parameters or {})))
        return self.send("POST", path, {**form, **keyed, **(headers or {})}, body)

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> StripeResponse:
        query = urlencode(list(_flat(parameters or {})))
        return self.send("GET", f"{path}?{query}" if query else path, {})

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: str = ""
    ) -> StripeResponse:
        all_headers = {"Authorization": f"Bearer {TEST_KEY}"} | dict(headers)
        response = self._http.request(
            method, f"{self._url}/v1/{path}", headers=all_headers, body=body
        )
        received = StripeResponse(response.status, response.headers, response.data.decode())
        assert problems_in(received.body) == []
        return received

    def new_intent(self, **parameters: Any) -> str:
        """Create an intent for 10 dollars that is captured separately. Returns its id."""
        defaults = {
            "amount": 1000,
            "currency": "usd",
            "capture_method": "manual",
            "payment_method": "pm_card_visa",
        }
        response = self.post("payment_intents", defaults | parameters)
        assert response.status == 200, response.text
        return response.id

    def authorized(self, **parameters: Any) -> str:
        return self.new_intent(confirm=True, **parameters)

    def captured(self, **parameters: Any) -> str:
        return self.new_intent(confirm=True, capture_method="automatic", **parameters)


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in parameters.items():
        path = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        elif isinstance(value, list):
            yield from _flat({str(index): item for index, item in enumerate(value)}, path)
        else:
            yield path, str(value).lower() if isinstance(value, bool) else str(value)
