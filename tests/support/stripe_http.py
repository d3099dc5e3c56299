"""The sandbox as plain HTTP sees it. Every answer is compared with the library's types."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import urllib3

from tests.support.stripe_types import problems_in

TEST_KEY = "sk_test_sandbox"


class Answer(NamedTuple):
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
    ) -> Answer:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        keyed = {} if key is None else {"Idempotency-Key": key}
        body = urlencode(list(_flat(parameters or {})))
        return self.send("POST", path, {**form, **keyed, **(headers or {})}, body)

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        query = urlencode(list(_flat(parameters or {})))
        return self.send("GET", f"{path}?{query}" if query else path, {})

    def send(self, method: str, path: str, headers: Mapping[str, str], body: str = "") -> Answer:
        allowed = {"Authorization": f"Bearer {TEST_KEY}"} | dict(headers)
        response = self._http.request(method, f"{self._url}/v1/{path}", headers=allowed, body=body)
        answer = Answer(response.status, response.headers, response.data.decode())
        assert problems_in(answer.body) == []
        return answer

    def new_intent(self, **parameters: Any) -> str:
        """Create an intent for 10 dollars, authorized by hand, and return its id."""
        defaults = {
            "amount": 1000,
            "currency": "usd",
            "capture_method": "manual",
            "payment_method": "pm_card_visa",
        }
        answer = self.post("payment_intents", defaults | parameters)
        assert answer.status == 200, answer.text
        return answer.id

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
            yield from _flat({str(at): each for at, each in enumerate(value)}, path)
        else:
            yield path, str(value).lower() if isinstance(value, bool) else str(value)
